"""A PostgreSQL of the benchmark's own, with data sets in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Table
from sqlalchemy.engine import make_url

from bench.database import rows_of, stored_values
from bench.dataset import Dataset
from tests.postgres import PostgresServer, connect
from wsauthz.store import migrations

SETTINGS: Final = {"shared_buffers": "512MB", "max_wal_size": "4GB", "maintenance_work_mem": "256MB"}


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server with empty data; fsync is on, as everywhere else."""
    with PostgresServer(**SETTINGS) as server:
        yield server


def create(server: PostgresServer, name: str, data: Dataset | None = None) -> str:
    """Return the URL of a new database with the schema, and the data set if there is one."""
    server.execute(f'CREATE DATABASE "{name}"')
    url = server.url(name)
    migrations.upgrade(url)
    if data is not None:
        with connect(url) as connection:
            for table, rows in rows_of(data):
                _copy(connection, table, rows)
        with connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    return url


def _copy(connection: psycopg.Connection[Any], table: Table, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows, None)
    if first is None:
        return
    stored = stored_values(table, first, make_url("postgresql+psycopg://").get_dialect()())
    columns = ", ".join(f'"{name}"' for name in first)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
        copy.write_row(tuple(stored(first).values()))
        for values in rows:
            copy.write_row(tuple(stored(values).values()))
