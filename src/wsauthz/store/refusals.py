"""What an error of the database means: one of our refusals, or storage trouble. None of them shows SQL or a DSN."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Index, PrimaryKeyConstraint
from sqlalchemy.engine import URL, ExceptionContext

from wsauthz.model.errors import AlreadyMember, EmailTaken, IdTaken, Refused, SlugTaken, Unavailable
from wsauthz.store.causes import cause_of
from wsauthz.store.tables import metadata

_READ_ONLY: Final = "25006"
_PRIMARY_CODE: Final = 0xFF
_TROUBLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Of SQLite's errors those that are about the storage; a mistake in a statement is not."""


def translate(context: ExceptionContext) -> Refused | None:
    """Return the refusal that an error of a statement, a commit or connecting stands for; see ``refusal``."""
    error = context.original_exception
    if getattr(error, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True  # a server that is no primary (any more): look for the one that is
    url = context.engine.url if context.engine is not None else None
    if context.connection is None:
        return Unavailable(cause=cause_of(error, url))  # nothing but the storage has a part in connecting
    return refusal(error, context.parameters, url)


def refusal(error: BaseException, parameters: Any, url: URL | None = None) -> Refused | None:
    """Return the refusal that an error of a driver stands for; None if it is a mistake in the program."""
    name = _constraint(error)
    if name:
        return _taken(name, parameters if isinstance(parameters, Mapping) else {})
    return Unavailable(cause=cause_of(error, url)) if _is_trouble(error) else None


def _constraint(error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        found = re.fullmatch(r"UNIQUE constraint failed: (.+)", str(error))
        return _BY_COLUMNS.get(found[1], "") if found else ""
    import psycopg  # noqa: PLC0415 - loading it costs an eighth of a second, and on SQLite nobody needs it

    return error.diag.constraint_name or "" if isinstance(error, psycopg.IntegrityError) else ""


def _taken(name: str, values: Mapping[str, Any]) -> Refused | None:
    if name.startswith("already_member"):
        return AlreadyMember()
    if name.endswith("_slug_taken"):
        return SlugTaken(str(values.get("slug", "")))
    if name == "email_taken":
        return EmailTaken()
    if name.endswith("_id_taken"):
        kind = name.removesuffix("_id_taken")
        return IdTaken(kind, str(values.get("id") or values.get(f"{kind}_id", "")))
    return None


def _is_trouble(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE) in _TROUBLE
    import psycopg  # noqa: PLC0415 - see above

    trouble = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.ReadOnlySqlTransaction,  # how a standby refuses writes
    )
    return isinstance(error, trouble)


def _unique_columns() -> dict[str, str]:
    """Return what SQLite says of a uniqueness -> its name: SQLite names the columns only."""
    names = {}
    for table in metadata.tables.values():
        keys: list[PrimaryKeyConstraint | Index] = [table.primary_key, *(each for each in table.indexes if each.unique)]
        for key in keys:
            columns = ", ".join(f"{table.name}.{column.name}" for column in key.columns)
            names[columns] = str(key.name)
    return names


_BY_COLUMNS: Final = _unique_columns()
