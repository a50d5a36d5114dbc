"""A database: SQLite in a file of its own or PostgreSQL, with snapshots to read from and one writer at a time."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection as Connection  # noqa: PLC0414 - re-exported: the type that queries take
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from wsauthz.model.errors import Refused, Unavailable
from wsauthz.store.refusals import refusal

_CONNECT_SECONDS: Final = 2
_IDLE_SECONDS: Final = 10


class UnusableUrl(ValueError):
    """A database URL of a kind that is not served; the text does not repeat it, because it may hold a password."""


def parse_url(url: str) -> URL:
    """Return the URL with the driver that is used for it.

    Accepted are ``sqlite:///path`` and ``postgresql://...`` in libpq's sense.

    Raises:
        UnusableUrl: it is something else, or an SQLite database in memory, which connections could not share.

    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UnusableUrl("the database URL cannot be read") from None
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        if parsed.database in {None, "", ":memory:"} or "mode=memory" in str(parsed.database):
            raise UnusableUrl("an SQLite database must be a file: sqlite:///path")
        return parsed.set(drivername="sqlite+pysqlite")
    raise UnusableUrl("the database URL must start with sqlite:/// or postgresql://")


class Database:
    """Connections to one database.

    Every problem with the storage leaves as ``Unavailable``, every violated constraint as the error it is named after.
    Nothing waits longer than ``wait_seconds`` for a connection, for the write gate, for a lock or, on PostgreSQL, for
    one statement.
    """

    def __init__(self, url: str, *, readers: int = 10, wait_seconds: float = 1.0) -> None:
        """Prepare to connect; nothing is connected yet.

        Raises:
            UnusableUrl: see ``parse_url``.

        """
        self.url: Final = parse_url(url)
        self.is_sqlite: Final = self.url.get_backend_name() == "sqlite"
        self._wait_seconds = wait_seconds
        # SQLite wakes waiting writers in no order and PostgreSQL costs a round trip: the gate is fair and cheap.
        self._gate = threading.Lock()
        self._closed = threading.Event()
        make = _sqlite_engine if self.is_sqlite else _postgresql_engine
        self._reader = make(self.url, read_only=True, connections=readers, wait_seconds=wait_seconds)
        self._writer = make(self.url, read_only=False, connections=1, wait_seconds=wait_seconds)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose queries all see one state, that of the first of them; it cannot write.

        Raises:
            Unavailable: the database cannot be reached, every connection stays in use, or this was closed.

        """
        with _refusals(), self._lending(self._reader), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction, the only one of this process; it commits when the block ends well.

        A block that calls ``rollback`` on the connection leaves nothing behind. Call ``revisions.advance`` first: only
        then do other processes wait, too.

        Raises:
            Unavailable: the database cannot be reached, the other writers take too long, or this was closed.

        """
        if not self._gate.acquire(timeout=self._wait_seconds):
            raise Unavailable
        try:
            with _refusals(), self._lending(self._writer), self._writer.begin() as connection:
                yield connection
        finally:
            self._gate.release()

    def close(self) -> None:
        """Close the connections that nobody uses; those in use close when they are given back, and no others follow."""
        self._closed.set()
        self._reader.pool.dispose()
        self._writer.pool.dispose()

    @contextmanager
    def _lending(self, engine: Engine) -> Iterator[None]:
        """Have what is given back within the block closed if ``close`` came meanwhile: the pool would keep it open."""
        if self._closed.is_set():
            raise Unavailable
        try:
            yield
        finally:
            if self._closed.is_set():
                engine.pool.dispose()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise Unavailable from None


def _sqlite_engine(url: URL, *, read_only: bool, connections: int, wait_seconds: float) -> Engine:
    def keep_private(_dialect: Any, _record: Any, _arguments: Any, _options: Any) -> None:
        """Make a new file readable by its owner only, because it holds secrets; SQLite's other files follow it."""
        with suppress(OSError):  # what keeps it from being made, connecting will tell
            os.close(os.open(str(url.database), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    engine = create_engine(
        url,
        paramstyle="named",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=wait_seconds,
        hide_parameters=True,
    )

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the begin event below begins, not the driver
        for pragma in (
            f"busy_timeout = {round(wait_seconds * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own knows ASCII only.
        connection.create_function("lower", 1, lambda text: text and text.lower(), deterministic=True)

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "do_connect", keep_private)
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    event.listen(engine, "handle_error", _translate)
    return engine


def _postgresql_engine(url: URL, *, read_only: bool, connections: int, wait_seconds: float) -> Engine:
    milliseconds = round(wait_seconds * 1000)
    engine = create_engine(
        url,
        # Writers must see what was committed while they waited for the revision row.
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        execution_options={"postgresql_readonly": True} if read_only else {},
        connect_args={"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": _CONNECT_SECONDS * 1000},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=wait_seconds,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    def connected(connection: Any, _record: Any) -> None:
        autocommit = connection.autocommit
        connection.autocommit = True
        connection.execute(f"SET statement_timeout = {milliseconds * (1 if not read_only else 10)}".encode())
        connection.execute(f"SET lock_timeout = {milliseconds}".encode())
        # In a zone east of Greenwich the end of 9999 is the year 10000, and no row with it could be read.
        connection.execute(b"SET timezone = 'UTC'")
        connection.execute(
            f"SET idle_in_transaction_session_timeout = {max(_IDLE_SECONDS * 1000, milliseconds * 10)}".encode()
        )
        connection.autocommit = autocommit

    event.listen(engine, "connect", connected)
    event.listen(engine, "handle_error", _translate)
    return engine


def _translate(context: ExceptionContext) -> Refused | None:
    if context.is_pre_ping:
        return None  # the pool finds out that a connection is dead, and makes another one
    return refusal(context.original_exception, context.parameters)
