"""Whether a database has the schema of this program, told without Alembic, whose import costs half a second."""

from typing import Final

from sqlalchemy import inspect, text

from wsauthz.store.database import Database

HEAD: Final = "0001"
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
    if _version(url) != HEAD:
        from wsauthz.store import migrations  # noqa: PLC0415 - see above

        migrations.upgrade(url)


def _version(url: str) -> str | None:
    database = Database(url, wait_seconds=_WAIT_SECONDS)
    try:
        with database.write() as connection:  # reading would fail on an SQLite file that is not there yet
            if not inspect(connection).has_table(VERSION_TABLE):
                return None
            found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
            return found
    finally:
        database.close()
