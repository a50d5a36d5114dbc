"""Queries about users."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from wsauthz.model.users import User
from wsauthz.store import rows
from wsauthz.store.tables import user_versions, users


def add(connection: Connection, *new: User) -> None:
    """Store new users.

    Raises:
        EmailTaken: another one has the address. IdTaken: there is a user with the id.

    """
    if new:
        connection.execute(insert(users), [rows.values_of(user) for user in new])


def update(connection: Connection, user_id: str, values: Mapping[str, Any]) -> None:
    """Change fields of a user.

    Raises:
        EmailTaken: another one has the address.

    """
    rows.update(connection, users, users.c.id == user_id, values)


def remove(connection: Connection, user_id: str) -> bool:
    """Delete the row of a user, really; False: there was none."""
    return connection.execute(delete(users).where(users.c.id == user_id)).rowcount == 1


def find(connection: Connection, user_id: str) -> User | None:
    """Return the user; None: nobody has the id."""
    return rows.find(connection, User, select(users).where(users.c.id == user_id))


def find_by_email(connection: Connection, email: str) -> User | None:
    """Return the user with the address, which is given as ``texts.email`` makes it."""
    return rows.find(connection, User, select(users).where(users.c.email == email))


def find_many(connection: Connection, user_ids: Iterable[str]) -> dict[str, User]:
    """Return those of the users that exist, by id."""
    found = rows.find_by_ids(connection, User, users, user_ids)
    return {user.id: user for user in found}


def source_versions(connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """Return the latest source_version of those of the users that have one, by id; deleted accounts keep theirs."""
    found: dict[str, int] = {}
    for some in rows.batches(user_ids):
        query = select(user_versions.c.user_id, user_versions.c.source_version).where(user_versions.c.user_id.in_(some))
        found.update({row.user_id: row.source_version for row in connection.execute(query)})
    return found


def put_source_versions(connection: Connection, versions: Mapping[str, int]) -> None:
    """Set the source_version of users, by id."""
    for some in rows.batches(versions.items()):
        values = [{"user_id": user_id, "source_version": version} for user_id, version in some]
        new = rows.put(connection, user_versions, values)
        latest = {"source_version": new.excluded.source_version}
        connection.execute(new.on_conflict_do_update(index_elements=[user_versions.c.user_id], set_=latest))


def source_versions_of_deleted(connection: Connection) -> Iterator[tuple[str, int]]:
    """Yield the ids of deleted accounts that keep a source_version, and it, by id."""
    query = select(user_versions).outerjoin(users, users.c.id == user_versions.c.user_id).where(users.c.id.is_(None))
    ordered = query.order_by(user_versions.c.user_id)
    for row in connection.execute(ordered, execution_options={"yield_per": 1_000}):
        yield row.user_id, row.source_version


def every(connection: Connection) -> Iterator[User]:
    """Yield all users, by id; streamed."""
    return rows.stream(connection, User, select(users).order_by(users.c.id))
