"""Queries about users."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from wsauthz.model.users import User
from wsauthz.store import rows
from wsauthz.store.tables import users


def add(connection: Connection, user: User) -> None:
    """Store a new user.

    Raises:
        EmailTaken: another one has the address. IdTaken: there is a user with the id.

    """
    rows.add(connection, users, user)


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
    """Return the user with the address, which is given as ``normalize_email`` makes it."""
    return rows.find(connection, User, select(users).where(users.c.email == email))


def find_many(connection: Connection, user_ids: Iterable[str]) -> dict[str, User]:
    """Return those of the users that exist, by id."""
    found = rows.find_by_ids(connection, User, users, user_ids)
    return {user.id: user for user in found}


def every(connection: Connection) -> Iterator[User]:
    """Yield all users, by id; streamed."""
    return rows.stream(connection, User, select(users).order_by(users.c.id))
