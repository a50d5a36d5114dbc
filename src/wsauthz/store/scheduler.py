"""Who runs the schedules of workspaces: nobody here, or pg_cron in the database.

The scheduler is told inside the transaction that stores a schedule, so that both are committed together, and in a
savepoint, so that what it refuses undoes nothing else. That it fails is a warning and a metric, never an error.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final, Protocol

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from wsauthz.metrics import Metrics
from wsauthz.model.errors import Refused, Unavailable
from wsauthz.store import rows

_log = logging.getLogger(__name__)

CHANNEL: Final = "wsauthz_schedule"
"""What a job notifies when a schedule comes round; the payload is the workspace's id."""


class Synced(Enum):
    """What came of telling the scheduler."""

    ABSENT = auto()
    """There is none."""
    ALREADY = auto()
    """It had nothing to change."""
    NOW = auto()
    """It has changed what it had."""
    FAILED = auto()
    """It did not take it, and has what it had before."""


class Scheduler(Protocol):
    """Keeps one job for each workspace that has a schedule."""

    def schedule(self, connection: Connection, workspace_id: str, schedule: str) -> Synced:
        """Have a workspace's job run at a schedule, instead of the one it had."""

    def unschedule(self, connection: Connection, workspace_ids: Sequence[str]) -> Synced:
        """Remove the jobs of workspaces, where there are any."""


class NoScheduler:
    """Runs nothing: the application reads the schedules."""

    def schedule(self, connection: Connection, workspace_id: str, schedule: str) -> Synced:  # noqa: ARG002 - uniform
        """Do nothing."""
        return Synced.ABSENT

    def unschedule(self, connection: Connection, workspace_ids: Sequence[str]) -> Synced:  # noqa: ARG002 - uniform
        """Do nothing."""
        return Synced.ABSENT


_COMMAND: Final = f"'SELECT pg_notify(''{CHANNEL}'', ' || quote_literal(CAST(:workspace_id AS text)) || ')'"
"""Made by the server, which knows how it quotes; a job's command has no parameters."""

# One's own jobs only: an administrator sees those of others, whose names may be the same.
_HELD: Final = text(
    "SELECT 1 FROM cron.job WHERE jobname = CAST(:job AS text) AND username = current_user"
    f" AND schedule = CAST(:schedule AS text) AND command = {_COMMAND}"
)
_SCHEDULE: Final = text(f"SELECT cron.schedule(CAST(:job AS text), CAST(:schedule AS text), {_COMMAND})")
# Asking for what is there rather than ignoring the complaint about what is not: that has no error code of its own.
_UNSCHEDULE: Final = text(
    "SELECT cron.unschedule(jobname) FROM cron.job WHERE jobname IN :jobs AND username = current_user"
).bindparams(bindparam("jobs", expanding=True))


class PgCron:
    """Keeps the jobs in pg_cron (1.5 or later: before, the names of jobs were cut off) of the same database."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def schedule(self, connection: Connection, workspace_id: str, schedule: str) -> Synced:
        """Have a workspace's job run at a schedule, instead of the one it had."""
        values = {"job": _job(workspace_id), "schedule": schedule, "workspace_id": workspace_id}

        def tell() -> bool:
            if connection.execute(_HELD, values).first() is not None:
                return False
            connection.execute(_SCHEDULE, values)
            return True

        return self._try(connection, tell)

    def unschedule(self, connection: Connection, workspace_ids: Sequence[str]) -> Synced:
        """Remove the jobs of workspaces, where there are any."""

        def tell() -> bool:
            removed = 0
            for ids in rows.batches(workspace_ids):
                removed += len(connection.execute(_UNSCHEDULE, {"jobs": [_job(each) for each in ids]}).all())
            return removed > 0

        return self._try(connection, tell)

    def _try(self, connection: Connection, tell: Callable[[], bool]) -> Synced:
        """Run it in a savepoint.

        Raises:
            Unavailable: the connection broke, and with it the transaction.

        """
        try:
            with connection.begin_nested():
                return Synced.NOW if tell() else Synced.ALREADY
        except (SQLAlchemyError, Refused) as error:
            if connection.invalidated:
                raise Unavailable from None
            self.metrics.schedule_failures += 1
            # Its class says what happened; its text might repeat the statement.
            cause = getattr(error, "orig", None) or error.__cause__ or error
            _log.warning("the scheduler did not take a schedule", extra={"problem": type(cause).__name__})
            return Synced.FAILED


def _job(workspace_id: str) -> str:
    return f"wsauthz_{workspace_id}"
