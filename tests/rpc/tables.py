"""The database behind a server, looked at and tampered with from outside."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.rpc.tenants import Tenants
from wsauthz.store.database import Database


def run(tenants: Tenants, sql: str) -> None:
    """Run one statement in a transaction of its own."""
    with closing(Database(tenants.server.database_url, wait_seconds=10)) as database, database.write() as connection:
        connection.exec_driver_sql(sql)


def found(tenants: Tenants, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query."""
    with closing(Database(tenants.server.database_url)) as database, database.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql(sql).mappings()]


def json_of(column: Any) -> Any:
    """Return what a column of JSON holds; SQLite gives its text."""
    return json.loads(column) if isinstance(column, str) else column


@contextmanager
def missing(tenants: Tenants, table: str) -> Iterator[None]:
    """Take a table away for the block: every query of it fails, as it does when storage is in trouble."""
    run(tenants, f"ALTER TABLE {table} RENAME TO away_{table}")
    try:
        yield
    finally:
        run(tenants, f"ALTER TABLE away_{table} RENAME TO {table}")
