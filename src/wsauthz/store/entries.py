"""When each user was last in a workspace, and the time before: outside of revisions and audit."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from wsauthz.store import rows
from wsauthz.store.tables import entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One user's visits to one workspace. Times are aware, UTC."""

    user_id: str
    workspace_id: str
    entered_at: datetime
    previous_entered_at: datetime | None
    """None: the user was there once."""


def find(connection: Connection, user_id: str, workspace_id: str) -> Entry | None:
    """Return the user's entry in the workspace; None: it never entered."""
    is_it = (entries.c.user_id == user_id) & (entries.c.workspace_id == workspace_id)
    return rows.find(connection, Entry, select(entries).where(is_it))


def enter(connection: Connection, user_id: str, workspace_id: str, *, now: datetime) -> None:
    """Write down that the user entered the workspace.

    One statement, because nobody holds the revision row meanwhile. An entry never moves back: of two at once the later
    one stays, whichever is written first.
    """
    values = {"user_id": user_id, "workspace_id": workspace_id, "entered_at": now, "previous_entered_at": None}
    new = rows.put(connection, entries, values)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[entries.c.user_id, entries.c.workspace_id],
            set_={"previous_entered_at": entries.c.entered_at, "entered_at": new.excluded.entered_at},
            where=entries.c.entered_at < new.excluded.entered_at,
        )
    )
