"""Bringing a database to the schema of ``store.tables``, and telling whether it is there.

Every revision runs in the one transaction of ``upgrade``, on SQLite, too: an interrupted one leaves nothing behind and
is simply run again.
"""

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from wsauthz.model.errors import Unusable
from wsauthz.store.database import Connection, Database
from wsauthz.store.schema import VERSION_TABLE
from wsauthz.store.tables import metadata

_WAIT_SECONDS: Final = 60.0
_LOCK: Final = 0x7773617574687A  # "wsauthz"; any number that no other program on the database takes


class SchemaUnknown(Unusable):
    """The database has a schema that this program does not know, most likely a newer program's."""

    def __init__(self, found: str) -> None:
        super().__init__(f"the schema is at revision {found}, which this program does not know: use a newer program")


def upgrade(url: str) -> None:
    """Bring the database to the newest schema; an SQLite file is made when it is missing.

    Repeating it changes nothing, and of several processes that do it at once one does the work while the others wait.

    Raises:
        UnusableUrl: see ``database.parse_url``.
        SchemaUnknown: a newer program has upgraded it.
        Unavailable: the database cannot be reached, or another process has been at it for a minute.

    """
    database = Database(url, wait_seconds=_WAIT_SECONDS)
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config = _config()
            found = _context(connection).get_current_revision()
            if found is not None and found not in _known(config):
                raise SchemaUnknown(found)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def current(url: str) -> str | None:
    """Return the revision of the schema that the database has; None: none at all, or no SQLite file.

    Raises:
        UnusableUrl: see ``database.parse_url``.
        Unavailable: the database cannot be reached.

    """
    database = Database(url)
    if database.is_sqlite and not Path(str(database.url.database)).exists():
        return None  # reading it would make it
    try:
        with database.read() as connection:
            return _context(connection).get_current_revision()
    finally:
        database.close()


def check(url: str) -> list[str]:
    """Return what keeps this program from working with the database's schema, a sentence each; empty: nothing.

    Raises:
        UnusableUrl: see ``database.parse_url``.
        Unavailable: the database cannot be reached.

    """
    problems = check_revision(url)
    if problems:
        return problems
    database = Database(url)
    try:
        with database.read() as connection:
            return _differences(connection)
    finally:
        database.close()


def check_revision(url: str) -> list[str]:
    """Return the same of the schema's revision alone, which tells enough unless somebody changed tables by hand.

    Raises:
        as check.

    """
    scripts = ScriptDirectory.from_config(_config())
    newest = scripts.get_current_head()
    found = current(url)
    if found is None:
        return ["the database has no tables of wsauthz yet: run `wsauthz db upgrade`"]
    if found != newest:
        if found in {script.revision for script in scripts.walk_revisions()}:
            return [f"the schema is at revision {found}, the program needs {newest}: run `wsauthz db upgrade`"]
        return [f"the schema is at revision {found}, which this program does not know: use a newer program"]
    return []


def _differences(connection: Connection) -> list[str]:
    found = compare_metadata(_context(connection), metadata)
    return [f"the schema is not the program's: {_sentence(difference)}" for difference in found]


def _context(connection: Connection) -> MigrationContext:
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
        "include_object": _is_ours,
    }
    return MigrationContext.configure(connection, opts=options)


def _is_ours(_item: Any, _name: str | None, kind: str, reflected: bool, counterpart: Any) -> bool:  # noqa: FBT001 - Alembic calls it
    """Leave out tables of others in the same database, and indexes an operator has added."""
    return not (kind in {"table", "index"} and reflected and counterpart is None)


def _sentence(difference: Any) -> str:
    """Return what Alembic would do about a difference: a tuple, or a list of tuples when it is about one column."""
    if isinstance(difference, list):
        return "; ".join(_sentence(each) for each in difference)
    operation, *parts = difference
    names = [part if isinstance(part, str) else getattr(part, "name", None) for part in parts]
    return " ".join([operation, *(name for name in names if name)])


def _known(config: Config) -> list[str]:
    """Return the revisions of this program, the newest one first."""
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
