"""Detection of poolers that distribute the transactions of one connection over several sessions of PostgreSQL.

Such a pooler (PgBouncer in transaction mode) mixes up statements that several clients prepared under the same name,
leaks session settings from one client to the next, and delivers no notifications.
"""

from typing import Final

from sqlalchemy import func, select

from wsauthz.model.errors import Unusable
from wsauthz.store.database import Connection, Database

_TRANSACTIONS: Final = 10
_SESSION: Final = select(func.pg_backend_pid())


class PoolerFound(Unusable):
    """A server that relies on sessions of its own cannot be started behind such a pooler."""

    def __init__(self) -> None:
        super().__init__(
            "The database URL leads to a pooler in transaction mode: set WSAUTHZ_DATABASE_POOLER=transaction, or "
            "connect to PostgreSQL itself or to a pooler in session mode."
        )


def check(database: Database) -> None:
    """Return if two connections have a session each, and keep it.

    A busy or rotating pool gives a connection another session soon, an idle one gives both the same.

    Raises:
        PoolerFound: they do not. Unavailable: the database cannot be reached.

    """
    with database.read() as one, database.read() as other:
        sessions = [{_session(connection) for _ in range(_TRANSACTIONS)} for connection in (one, other)]
    if any(len(of_one) > 1 for of_one in sessions) or sessions[0] == sessions[1]:
        raise PoolerFound


def _session(connection: Connection) -> int:
    session: int = connection.execute(_SESSION).scalar_one()
    connection.rollback()
    return session
