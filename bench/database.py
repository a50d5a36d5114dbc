"""SQLite files with the data sets in them, made once and kept in .benchmarks (which git ignores)."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Dialect, Table, insert
from sqlalchemy.dialects import sqlite

import bench.dataset
from bench import policies
from bench.dataset import Dataset, Values
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.store import migrations, tables

_FOLDER: Final = Path(__file__).parents[1] / ".benchmarks"
_LONG_AGO: Final = datetime(2025, 1, 1, tzinfo=UTC)


def path_of(data: Dataset) -> Path:
    """Return a database file with the data set; making one with a million memberships takes a minute."""
    path = _FOLDER / f"{len(data.memberships)}-{_version()}.db"
    if path.exists():
        return path
    _FOLDER.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    migrations.upgrade(f"sqlite:///{unfinished}")
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA cache_size = -1000000")  # kilobytes
        for table, rows in rows_of(data):
            _fill(connection, table, rows)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    unfinished.rename(path)
    return path


def _version() -> str:
    """Return what changes when the data or the tables do."""
    schema = sorted(Path(migrations.__file__).parent.rglob("*.py"))
    sources = (Path(bench.dataset.__file__), Path(__file__), *schema, policies.DIRECTORY / "catalog.toml")
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _fill(connection: sqlite3.Connection, table: Table, rows: Iterator[Values]) -> None:
    """Insert the rows, every value as SQLAlchemy would store it, but without its price for each of a million."""
    first = next(rows, None)
    if first is None:
        return
    dialect = sqlite.dialect(paramstyle="named")
    statement = str(insert(table).values(dict.fromkeys(first)).compile(dialect=dialect))
    connection.executemany(statement, map(stored_values(table, first, dialect), (first, *rows)))


def stored_values(table: Table, names: Iterable[str], dialect: Dialect) -> Callable[[Values], Values]:
    """Return what makes of a row's values those that SQLAlchemy would give to the driver."""
    processors = {
        name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
        for name in names
    }
    known: dict[tuple[str, str], Any] = {}

    def stored(values: Values) -> Values:
        return {name: _stored(name, value) for name, value in values.items()}

    def _stored(name: str, value: Any) -> Any:
        if isinstance(value, str):
            return value
        key = (name, repr(value))
        if key not in known:
            known[key] = processors[name](value)
        return known[key]

    return stored


def rows_of(data: Dataset) -> Iterator[tuple[Table, Iterator[Values]]]:
    """Yield every table with its rows, in an order in which they can be stored."""
    times = {"created_at": _LONG_AGO, "updated_at": _LONG_AGO}
    person = {"kind": UserKind.HUMAN, "email": None, "email_verified": False, "default_workspace_id": None, **times}
    yield tables.users, ({**values, **person} for values in data.users)
    yield tables.organizations, ({**values, **times, "slug": values["id"]} for values in data.organizations)
    yield tables.workspaces, (_workspace(values, times) for values in data.workspaces)
    plan = {"plan_changed_at": _LONG_AGO, **times}
    yield tables.subscriptions, ({**values, **plan} for values in data.subscriptions)
    numbered = enumerate(sorted(data.memberships, key=lambda values: (values["workspace_id"] or "", values["user_id"])))
    yield tables.memberships, (_membership(number, values, times) for number, values in numbered)


def _workspace(values: Values, times: Values) -> Values:
    stored = {**values, **times, "slug": values["id"], "settings": WorkspaceSettings()}
    del stored["child_workspaces"]
    return {**stored, "suspended_at": None, "suspended_by": None, "enabled_providers": None, "schedule": None}


def _membership(number: int, values: Values, times: Values) -> Values:
    expires_at = values["expires_at"]
    return {
        **values,
        **times,
        "id": f"membership_{number:016x}",
        "expires_at": None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
        "joined_at": _LONG_AGO,
    }
