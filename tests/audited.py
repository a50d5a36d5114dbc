"""The audit as a test reads it: beside the server, and waited for."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from wsauthz.store import tables
from wsauthz.store.database import Database


def entries(database_url: str, **wanted: str) -> list[Any]:
    """Return the entries with these columns, oldest first."""
    columns = tables.audit_entries.c
    query = tables.audit_entries.select().order_by(columns.number)
    for name, value in wanted.items():
        query = query.where(columns[name] == value)
    with closing(Database(database_url)) as database, database.read() as connection:
        return list(connection.execute(query))


def rejections(database_url: str, **wanted: str) -> list[Any]:
    """Return the same of rejected attempts alone."""
    return [entry for entry in entries(database_url, **wanted) if entry.refusal]


def until(seen: Callable[[], Any], wanted: Callable[[Any], bool] = bool, seconds: float = 30.0) -> Any:
    """Return what is seen as soon as it is as wanted."""
    deadline = time.monotonic() + seconds
    while not wanted(found := seen()):
        assert time.monotonic() < deadline, f"only {found} so far"
        time.sleep(0.02)
    return found


@contextmanager
def held(database_url: str) -> Iterator[None]:
    """Keep the database from being written to, within the block."""
    parsed = make_url(database_url)
    with ExitStack() as stack:
        other: Any
        if parsed.get_backend_name() == "sqlite":
            other = stack.enter_context(closing(sqlite3.connect(str(parsed.database), isolation_level=None)))
            other.execute("BEGIN IMMEDIATE")
        else:
            plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            other = stack.enter_context(psycopg.connect(plain))
            other.execute("SELECT 1 FROM revision FOR UPDATE")
        yield
        other.rollback()
