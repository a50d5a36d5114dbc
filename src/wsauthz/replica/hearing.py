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
    asked_at: float
    """By the monotonic clock."""
    seconds: float
    """Its time, in Unix seconds."""
    clock_asked_at: float
    """When it was asked for its time, by the monotonic clock."""


def hear(connection: Connection, asked_at: float) -> Heard:
    """Ask the database for its newest revision and its time; ``asked_at`` is before this transaction began."""
    newest = revisions.current(connection)
    mark = revisions.mark(connection, newest.value)
    clock_asked_at = time.monotonic()
    seconds = revisions.database_time(connection).timestamp()
    return Heard(newest=newest, mark=mark, asked_at=asked_at, seconds=seconds, clock_asked_at=clock_asked_at)


def needs_reload(changes: Sequence[Change], newest: Revision, have: Revision) -> bool:
    """Tell whether applying is not enough: changes after ``have`` that are no longer kept, or an import."""
    following = changes[0].revision if changes else newest.value
    is_missing = following > have.value + bool(changes)  # every revision has a change (docs/decisions/0008)
    return is_missing or newest.pruned > have.value or any(change.kind == RELOAD for change in changes)
