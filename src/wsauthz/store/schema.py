"""Whether a database has the schema of this program, told without Alembic, whose import costs half a second."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from sqlalchemy import inspect, text

from wsauthz.store.database import Connection, Database

HEAD: Final = "0008"
"""The newest migration; a test compares it with the scripts."""
_WAIT_SECONDS: Final = 10.0
"""A server that starts waits longer than a caller may be kept: it has nothing better to do."""
VERSION_TABLE: Final = "wsauthz_version"
"""Not Alembic's own name, which the application may use in the same database."""


def ensure(url: str) -> None:
    """Bring the database to the newest schema, if it is not there.

    Raises:
        as ``migrations.upgrade``.

    """
    database = Database(url, wait_seconds=_WAIT_SECONDS)
    try:
        found = _version(database.write())  # reading would fail on an SQLite file that is not there yet
    finally:
        database.close()
    if found != HEAD:
        from wsauthz.store import migrations  # noqa: PLC0415 - see above

        migrations.upgrade(url)


def check(url: str) -> list[str]:
    """Return what keeps this program from working with the database, a sentence each; it changes nothing.

    Raises:
        as ``migrations.check_revision``.

    """
    if _found(url) == HEAD:
        return []
    from wsauthz.store import migrations  # noqa: PLC0415 - see above

    return migrations.check_revision(url)


def _found(url: str) -> str | None:
    database = Database(url)
    try:
        if database.is_sqlite and not Path(str(database.url.database)).exists():
            return None  # reading it would make it
        return _version(database.read())
    finally:
        database.close()


def _version(lent: AbstractContextManager[Connection]) -> str | None:
    with lent as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        return found
