"""Connections to an SQLite file."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from wsauthz.store.refusals import translate


class Pool:
    """Connections of one kind - to read, or to write - to one SQLite database."""

    def __init__(self, url: URL, *, read_only: bool, connections: int, wait_seconds: float) -> None:
        """Prepare to connect; nobody waits longer than ``wait_seconds`` for a lock."""
        self._engine: Final = _engine(url, read_only=read_only, connections=connections, wait_seconds=wait_seconds)

    @contextmanager
    def lend(self, began: float, *, patience: float = 1.0) -> Iterator[Connection]:
        """Give a connection. There are no limits to set: a file does not stop answering."""
        del began, patience
        with self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.pool.dispose()


def _engine(url: URL, *, read_only: bool, connections: int, wait_seconds: float) -> Engine:
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
    event.listen(engine, "handle_error", translate)
    return engine
