"""What a database says of itself, and whether what is new in it can be applied to facts of an earlier revision."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wsauthz.store import revisions
from wsauthz.store.database import Connection
from wsauthz.store.revisions import Change, Mark, Revision

RELOAD: Final = revisions.RELOAD[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the database said of itself when it was asked."""

    newest: Revision
    mark: Mark
    """Of the newest revision."""
    clock_offset: float
    """Seconds by which its clock is ahead of this machine's."""
    asked_at: float
    """By the monotonic clock."""


def hear(connection: Connection, asked_at: float) -> Heard:
    """Ask the database for its newest revision and its time; ``asked_at`` is before this transaction began."""
    newest = revisions.current(connection)
    return Heard(
        newest=newest,
        mark=revisions.mark(connection, newest.value),
        clock_offset=revisions.database_time(connection).timestamp() - time.time(),
        asked_at=asked_at,
    )


def needs_reload(changes: Sequence[Change], newest: Revision, have: Revision) -> bool:
    """Tell whether applying is not enough: changes after ``have`` that are no longer kept, or an import."""
    following = changes[0].revision if changes else newest.value
    is_missing = following > have.value + bool(changes)  # every revision has a change (docs/decisions/0008)
    return is_missing or newest.pruned > have.value or any(change.kind == RELOAD for change in changes)
