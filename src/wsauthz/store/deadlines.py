"""Time limits for PostgreSQL that hold on the client's side, on a socket where nothing moves any more, too.

The server's own limits need a server that answers, and the kernel's need a peer that does not acknowledge; a proxy
that goes on acknowledging defeats both. Here every statement, COMMIT and ROLLBACK sets when its connection is to be cut
off; a thread that looks ten times a second shuts such a socket down, and whoever waits on it gets an error at once.
"""

import logging
import math
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final, Self

import psycopg

from wsauthz import metrics

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_SECONDS_FOR_A_ROW: Final = 0.001
"""What a statement that is run for many rows may take longer for each of them."""
_NEVER: Final = math.inf


class Watch:
    """When a connection is to be cut off. Setting that is setting an attribute: it costs nothing."""

    __slots__ = ("_is_cut", "_lock", "_rows", "_seconds", "_socket", "_until", "cut_at", "used")

    def __init__(self, fileno: int) -> None:
        # A descriptor of its own: the driver's may be closed, and be somebody else's, when the time is over.
        self._socket: socket.socket | None = socket.socket(fileno=os.dup(fileno))
        self._lock = threading.Lock()
        self._seconds = _NEVER
        self._until = 0.0
        self._rows = 0
        self._is_cut = False
        self.cut_at = _NEVER
        self.used = False
        """Whether it was lent before: a connection that was just made needs no second look."""

    def allow(self, seconds: float, until: float | None = None) -> None:
        """Give each statement from now on so many seconds; the first one ends at ``until``."""
        self._seconds, self._until = seconds, until or 0.0

    def expect_rows(self, rows: int) -> Self:
        """Give the next statement longer, because it is run for so many rows."""
        self._rows = rows
        return self

    def __enter__(self) -> None:
        """Wait for the server within the block."""
        self.cut_at = self._until or time.monotonic() + self._seconds + self._rows * _SECONDS_FOR_A_ROW
        self._until, self._rows = 0.0, 0

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Wait no longer: it has answered, or failed.

        Raises:
            psycopg.OperationalError: it has not answered in time; the driver takes that for a server that hung up.

        """
        self.cut_at = _NEVER
        if self._is_cut and error is not None:
            raise psycopg.OperationalError("the database server did not answer in time") from None

    def cut(self) -> None:
        """Shut the socket down, which ends every wait for it in any thread."""
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._is_cut = True
                self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def closed(self) -> bool:
        """Whether there is nothing to watch any more."""
        return self._socket is None

    def close(self) -> None:
        """Let go of the socket."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


class Watchdog:
    """The thread that cuts connections off; it runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._thread: threading.Thread | None = None

    def watch(self, connection: "WatchedConnection") -> None:
        """Watch a connection until it is closed."""
        connection.watch = Watch(connection.fileno())
        with self._lock:
            self._watches.add(connection.watch)
            if self._thread is None:
                metrics.background_ends["deadlines"] += 0
                thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                thread.start()
                self._thread = thread  # only now: where no thread can be started, the next connection tries again

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                if not self._cut_late():
                    return
            except Exception:  # noqa: BLE001 - without this thread nothing would ever be cut off again
                metrics.background_ends["deadlines"] += 1
                _log.exception("cutting connections off failed; it goes on")

    def _cut_late(self) -> bool:
        """Cut off what is late; tell whether there is anything to watch."""
        now = time.monotonic()
        with self._lock:
            self._watches = {watch for watch in self._watches if not watch.closed}
            if not self._watches:
                self._thread = None
                return False
            late = [watch for watch in self._watches if watch.cut_at <= now]
        for watch in late:
            watch.cut()
        return True


class WatchedCursor(psycopg.Cursor[Any]):
    """A cursor whose statements are cut off in time."""

    def execute(self, *arguments: Any, **options: Any) -> Self:
        """Execute a statement."""
        with _watch_of(self):
            return super().execute(*arguments, **options)

    def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        """Execute a statement for many rows."""
        rows = list(params_seq)
        with _watch_of(self).expect_rows(len(rows)):
            super().executemany(query, rows, returning=returning)


class WatchedServerCursor(psycopg.ServerCursor[Any]):
    """A cursor that lives in the server; each of its fetches waits for it anew."""

    def execute(self, *arguments: Any, **options: Any) -> Self:
        """Declare it."""
        with _watch_of(self):
            return super().execute(*arguments, **options)

    def fetchone(self) -> Any:
        """Fetch the next row."""
        return self._fetch(super().fetchone)

    def fetchmany(self, size: int = 0) -> list[Any]:
        """Fetch the next rows."""
        rows: list[Any] = self._fetch(super().fetchmany, size)
        return rows

    def fetchall(self) -> list[Any]:
        """Fetch the rest."""
        rows: list[Any] = self._fetch(super().fetchall)
        return rows

    def close(self) -> None:
        """Close it, in the server, too."""
        self._fetch(super().close)

    def _fetch(self, fetch: Any, *arguments: int) -> Any:
        with _watch_of(self):
            return fetch(*arguments)


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that is cut off when the server does not answer in time."""

    watch: Watch
    """Given by a watchdog before the connection is used."""
    is_shared = False
    """Whether others may use the session of the server between two transactions, as a pooler lets them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = WatchedCursor
        self.server_cursor_factory = WatchedServerCursor

    def commit(self) -> None:
        """Commit; when that is cut off, nobody knows whether it was done."""
        with self.watch:
            super().commit()

    def rollback(self) -> None:
        """Roll back."""
        with self.watch:
            super().rollback()

    def close(self) -> None:
        """Close."""
        super().close()
        self.watch.close()


def is_disturbed(connection: WatchedConnection) -> bool:
    """Tell whether the server has said something unasked, such as farewell; asks nobody, so that it costs no time."""
    ready = select.poll()
    ready.register(connection.fileno(), select.POLLIN)
    return bool(ready.poll(0))


def _watch_of(cursor: psycopg.Cursor[Any] | psycopg.ServerCursor[Any]) -> Watch:
    connection: Any = cursor.connection
    watch: Watch = connection.watch
    return watch
