"""Migrated PostgreSQL databases for tests, emptied and lent again: that takes a tenth of the time of a new one.

Whoever borrows a database gets a new one: no row, no session and no revision of an earlier test is left in it. One
whose schema or settings a test has changed, or that has grown, is not lent again.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.postgres import connect, execute

LENDER: Final = "lender"
"""The name under which this module's own sessions are seen in pg_stat_activity."""
WORTH_EMPTYING: Final = 20_000
"""Rows: more are dropped with their database."""

# What is not a row of a table: 16384 is the first id that PostgreSQL gives to what users make.
SCHEMA: Final = """
SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
  SELECT concat_ws(' ', c.oid, c.relname, a.attname, a.atttypid, a.attnotnull, a.atthasdef)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid >= 16384
  UNION ALL SELECT concat_ws(' ', oid, conname) FROM pg_constraint WHERE oid >= 16384
  UNION ALL SELECT concat_ws(' ', oid, nspname) FROM pg_namespace WHERE oid >= 16384
  UNION ALL SELECT concat_ws(' ', oid, proname) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT concat_ws(' ', oid, tgenabled) FROM pg_trigger WHERE oid >= 16384
  UNION ALL SELECT concat_ws(' ', setrole, setconfig) FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
  UNION ALL SELECT version_num FROM wsauthz_version
) AS parts (part)
"""
OTHER_SESSIONS: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
TABLES: Final = """
SELECT relname FROM pg_class
  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT IN ('wsauthz_version', 'revision')
"""


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Make a database without tables for the block, and drop it with the sessions left open in it; the URL of it."""
    url = _create(server_url, "template1")
    try:
        yield url
    finally:
        _drop(server_url, url)


class Databases:
    """Databases of one server that are copies of one template, a migrated database that nobody opens."""

    def __init__(self, server_url: str, template: str) -> None:
        """Begin with none; ``server_url`` is the superuser's."""
        self._server_url = server_url
        self._template = template
        self._schemas: dict[str, str] = {}
        self._sessions: dict[str, psycopg.Connection[Any]] = {}
        """One to each database, kept while it is lent: a new one takes ten times as long to empty it."""
        self._free: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Lend a database for the block: its URL."""
        url = self._free.pop() if self._free else self._make()
        try:
            yield url
        finally:
            if self._emptied(url):
                self._free.append(url)
            else:
                self._end(url)

    def close(self) -> None:
        """Drop those that are not lent."""
        while self._free:
            self._end(self._free.pop())

    def _end(self, url: str) -> None:
        del self._schemas[url]
        self._sessions.pop(url).close()
        _drop(self._server_url, url)

    def _make(self) -> str:
        url = _create(self._server_url, self._template)
        self._schemas[url] = _schema(self._connect(url))
        return url

    def _connect(self, url: str) -> psycopg.Connection[Any]:
        connection = self._sessions[url] = connect(url, autocommit=True)
        connection.execute(f"SET application_name = {LENDER}")
        return connection

    def _emptied(self, url: str) -> bool:
        """Whether the database is as it was when it was made, but for what tells it from every other one."""
        try:
            return self._empty(url)
        except psycopg.OperationalError:  # a test has ended the session
            self._connect(url)
            return self._empty(url)

    def _empty(self, url: str) -> bool:
        connection = self._sessions[url]
        with connection.transaction():
            connection.execute(OTHER_SESSIONS)
            if _schema(connection) != self._schemas[url]:
                return False
            # In whatever order: rows that refer to each other all go.
            connection.execute("SET LOCAL session_replication_role = replica")
            rows = 0
            for (table,) in connection.execute(TABLES).fetchall():
                rows += connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table))).rowcount
            connection.execute("DELETE FROM revision")
            connection.execute(
                "INSERT INTO revision (id, value, epoch, secret) VALUES (1, 0, %s, %s)",
                (secrets.token_hex(6), secrets.token_hex(32)),
            )
            return rows < WORTH_EMPTYING


def _create(server_url: str, template: str) -> str:
    name = f"wsauthz_{secrets.token_hex(8)}"
    execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _drop(server_url: str, url: str) -> None:
    execute(server_url, f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')


def _schema(connection: psycopg.Connection[Any]) -> str:
    try:
        row = connection.execute(SCHEMA).fetchone()
    except psycopg.errors.UndefinedTable:  # the one of the migrations
        return ""
    assert row is not None
    return str(row[0])
