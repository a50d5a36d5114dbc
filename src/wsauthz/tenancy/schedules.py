"""When a workspace's runs are due: a cron expression, and when it comes round next (REQ-062, REQ-063)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

from wsauthz.model.errors import InvalidCron, WorkspaceNotFound
from wsauthz.model.places import PlaceKey
from wsauthz.store import revisions
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.scheduler import Synced
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.tenancy.workspaces import change, live

_LONGEST: Final = 64
# The library would take a sixth field, and letters that become ASCII in upper case.
_FIVE_FIELDS: Final = re.compile(r"[!-~]+(?:[ \t]+[!-~]+){4}")
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A cron expression, None: none; and the first time after now that it names, None: it never comes round."""

    schedule: str | None
    next_run_at: datetime | None


def get(reading: Reading, *, workspace_id: str) -> Schedule:
    """Return the workspace's schedule.

    Raises:
        WorkspaceNotFound: there is none.

    """
    workspace = workspace_rows.find(reading.connection, workspace_id)
    if workspace is None:
        raise WorkspaceNotFound
    return _with_next_run(workspace.schedule, revisions.database_time(reading.connection))


def set_schedule(tx: Transaction, *, workspace_id: str, schedule: str) -> tuple[Schedule, bool]:
    """Set the workspace's schedule, or clear it if blank; return it, and whether a scheduler now has just that.

    The value is stored in any case. Setting again what is stored tells a scheduler that did not take it before.

    Raises:
        WorkspaceNotFound: there is none. InvalidCron: it is no cron expression.

    """
    wanted = _check(schedule)
    workspace = live(tx, workspace_id)
    if wanted is None:
        synced = tx.scheduler.unschedule(tx.connection, [workspace_id])
    else:
        synced = tx.scheduler.schedule(tx.connection, workspace_id, wanted)
    is_synced = synced in {Synced.ALREADY, Synced.NOW}
    before, after = {"schedule": workspace.schedule}, {"schedule": wanted, "is_scheduler_synced": is_synced}
    if wanted != workspace.schedule:
        change(tx, workspace, {"schedule": wanted}, before=before, after=after)
    elif synced is Synced.NOW:
        place: PlaceKey = ("workspace", workspace_id)
        tx.audit("workspace", workspace_id, place, before=before, after=after)
    return _with_next_run(wanted, tx.now), is_synced


def _check(schedule: str) -> str | None:
    """Return the expression with single spaces between its fields; None if there is none.

    Raises:
        InvalidCron: it is too long, or no cron expression.

    """
    expression = " ".join(schedule.split())
    if not expression:
        return None
    if len(expression) > _LONGEST or not _FIVE_FIELDS.fullmatch(schedule.strip()):
        raise InvalidCron
    try:
        CronSim(expression, _ANY_TIME)
    except CronSimError:
        raise InvalidCron from None
    return expression


def _with_next_run(expression: str | None, now: datetime) -> Schedule:
    """Return the expression with the time it names next; one that never comes round costs about 20 ms."""
    next_run_at = None
    if expression is not None:
        try:
            next_run_at = next(CronSim(expression, now), None)
        except CronSimError:  # imported: whoever reads it runs nothing
            next_run_at = None
    return Schedule(schedule=expression, next_run_at=next_run_at)
