"""When each user was last in a workspace, and the time before: outside of revisions and audit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from wsauthz.store import rows
from wsauthz.store.tables import entries, workspaces


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


def of_users(connection: Connection, user_ids: Iterable[str]) -> dict[tuple[str, str], Entry]:
    """Return all entries of the users, by user and workspace."""
    found: dict[tuple[str, str], Entry] = {}
    for ids in rows.batches(user_ids):
        theirs = rows.find_all(connection, Entry, select(entries).where(entries.c.user_id.in_(ids)))
        found.update({(each.user_id, each.workspace_id): each for each in theirs})
    return found


def every(connection: Connection) -> Iterator[Entry]:
    """Yield all entries in live workspaces, by user and workspace; streamed."""
    of_live = select(entries).join(workspaces, workspaces.c.id == entries.c.workspace_id)
    live = of_live.where(workspaces.c.deleted_at.is_(None))
    return rows.stream(connection, Entry, live.order_by(entries.c.user_id, entries.c.workspace_id))


def put(connection: Connection, found: Iterable[Entry]) -> None:
    """Store entries of different users or workspaces, each in place of the one that is there, unless that is later."""
    for some in rows.batches(found):
        new = rows.put(connection, entries, [rows.values_of(entry) for entry in some])
        said = {"entered_at": new.excluded.entered_at, "previous_entered_at": new.excluded.previous_entered_at}
        keys = [entries.c.user_id, entries.c.workspace_id]
        is_later = entries.c.entered_at <= new.excluded.entered_at
        connection.execute(new.on_conflict_do_update(index_elements=keys, set_=said, where=is_later))


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
