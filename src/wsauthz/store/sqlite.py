"""Connections to an SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from wsauthz.store.refusals import translate
from wsauthz.store.sqlite_file import SqliteFile


class Pool:
    """Connections of one kind - to read, or to write - to one SQLite database."""

    def __init__(self, url: URL, file: SqliteFile, *, read_only: bool, connections: int, wait_seconds: float) -> None:
        """Prepare to connect; nobody waits longer than ``wait_seconds`` for a lock."""
        self._file = file
        self._engine: Final = _engine(
            url, file, read_only=read_only, connections=connections, wait_seconds=wait_seconds
        )

    @contextmanager
    def lend(self, began: float, *, patience: float = 1.0) -> Iterator[Connection]:
        """Give a connection. There are no limits to set: a file does not stop answering.

        Raises:
            FileReplaced: before the block or, with everything in it done, after it.

        """
        del began, patience
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            self._file.check(driver)
            yield connection
            self._file.check(driver)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.pool.dispose()


def _engine(url: URL, file: SqliteFile, *, read_only: bool, connections: int, wait_seconds: float) -> Engine:
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
        file.connected()
        connection.create_function("sha256", 1, lambda text: sha256(text.encode()).hexdigest(), deterministic=True)
        # SQLite's own knows ASCII only.
        connection.create_function("lower", 1, lambda text: text and text.lower(), deterministic=True)

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "do_connect", lambda *_: file.connecting())
    event.listen(engine, "connect", connected)
    event.listen(engine, "close", lambda *_: file.closed())
    event.listen(engine, "begin", begun)
    event.listen(engine, "handle_error", translate)
    return engine
