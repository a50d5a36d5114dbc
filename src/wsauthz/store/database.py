"""A database: SQLite in a file of its own or PostgreSQL, with snapshots to read from and one writer at a time."""

import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection as Connection  # noqa: PLC0414 - re-exported: the type that queries take
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from wsauthz.model.errors import Unavailable, Unusable
from wsauthz.store import notices, sqlite
from wsauthz.store.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from wsauthz.store import postgresql


class UnusableUrl(Unusable):
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
        path = parsed.database or ""
        if path in {"", ":memory:"} or path.startswith("file:") or parsed.query:
            raise UnusableUrl("an SQLite database must be a file, without options: sqlite:///path")
        return parsed.set(drivername="sqlite+pysqlite")
    raise UnusableUrl("the database URL must start with sqlite:/// or postgresql://")


class Database:
    """Connections to one database.

    Every problem with the storage leaves as ``Unavailable``, every violated constraint as the error it is named after.
    Nothing waits longer than ``wait_seconds`` for a connection, for the write gate, for a lock or, on PostgreSQL, for
    one statement or COMMIT; a fifth longer where the server does not answer at all.
    """

    def __init__(self, url: str, *, readers: int = 10, wait_seconds: float = 1.0, is_direct: bool = False) -> None:
        """Prepare to connect; nothing is connected yet.

        With ``is_direct`` each connection has a session of PostgreSQL to itself: statements are prepared there and
        settings kept, which saves a round trip for each transaction. Without it transactions may be distributed over
        sessions that others use, as PgBouncer does it in transaction mode.

        Raises:
            UnusableUrl: see ``parse_url``.

        """
        self.url: Final = parse_url(url)
        self.is_sqlite: Final = self.url.get_backend_name() == "sqlite"
        at = "" if self.is_sqlite else f" at {self.url.host or 'the local host'}"
        self.name: Final = f"{self.url.database}{at}"
        """For people, without what the URL may hold of a password."""
        self._wait_seconds = wait_seconds
        # SQLite wakes waiting writers in no order and PostgreSQL costs a round trip: the gate is fair and cheap.
        self._gate = threading.Lock()
        self._closed = threading.Event()
        self.can_listen: Final = is_direct and not self.is_sqlite
        """Whether notifications can be received."""
        make = self._kind_of_pool(wait_seconds, is_direct=is_direct)
        self._reader = make(read_only=True, connections=readers)
        self._writer = make(read_only=False, connections=1)
        self._poller = make(read_only=True, connections=1)

    @contextmanager
    def read(self, *, patience: float = 1.0) -> Iterator[Connection]:
        """Give a connection whose queries all see one state, that of the first of them; it cannot write.

        With ``patience`` a statement, or the next rows of one, may take so many times as long.

        Raises:
            Unavailable: the database cannot be reached, every connection stays in use, or this was closed.

        """
        with self._lending(self._reader, time.monotonic(), patience) as connection:
            yield connection

    @contextmanager
    def poll(self) -> Iterator[Connection]:
        """Give the same on a connection that is kept for one who asks again and again.

        Raises:
            as read.

        """
        with self._lending(self._poller, time.monotonic()) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction, the only one of this process; it commits when the block ends well.

        A block that calls ``rollback`` on the connection leaves nothing behind. Call ``revisions.advance`` first: only
        then do other processes wait, too.

        Raises:
            Unavailable: the database cannot be reached, the other writers take too long, or this was closed. What a
            COMMIT that was cut off has done nobody knows; it is all or nothing.

        """
        began = time.monotonic()
        if not self._gate.acquire(timeout=self._wait_seconds):
            raise Unavailable(cause="another write of this process takes too long")
        try:
            with self._lending(self._writer, began) as connection, connection.begin():
                yield connection
        finally:
            self._gate.release()

    def notices(self) -> AsyncGenerator[str]:
        """Return what listens for the revisions that others tell of, on the running loop; see ``notices.listen``."""
        return notices.listen(self.url)

    def close(self) -> None:
        """Close the connections that nobody uses; those in use close when they are given back, and no others follow."""
        self._closed.set()
        for pool in (self._reader, self._writer, self._poller):
            pool.close()

    @contextmanager
    def _lending(
        self, pool: "sqlite.Pool | postgresql.Pool", began: float, patience: float = 1.0
    ) -> Iterator[Connection]:
        """Have what is given back within the block closed if ``close`` came meanwhile: the pool would keep it open."""
        if self._closed.is_set():
            raise Unavailable(cause="this process is stopping")
        try:
            with pool.lend(began, patience=patience) as connection:
                yield connection
        except PoolTimeout:
            raise Unavailable(cause="all connections of this process are in use") from None
        finally:
            if self._closed.is_set():
                pool.close()

    def _kind_of_pool(
        self, wait_seconds: float, *, is_direct: bool
    ) -> "partial[sqlite.Pool] | partial[postgresql.Pool]":
        if self.is_sqlite:
            file = SqliteFile(Path(str(self.url.database)))
            return partial(sqlite.Pool, self.url, file, wait_seconds=wait_seconds)
        from wsauthz.store import postgresql  # noqa: PLC0415 - its driver is slow to load, and on SQLite nobody needs it

        return partial(postgresql.Pool, self.url, wait_seconds=wait_seconds, is_direct=is_direct)
