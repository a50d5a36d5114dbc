"""Making connections that nobody waits too long for: who has waited enough goes, and the next one gets the connection.

A driver waits at least two seconds for each host, and a dead host may stand before the one that answers: longer than
a caller may be kept.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

import psycopg

from wsauthz.store.deadlines import WatchedConnection, is_disturbed


class Connector:
    """Makes connections, one at a time, in a thread of its own."""

    def __init__(self, connect: Callable[[], WatchedConnection]) -> None:
        self._connect = connect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="connect")
        self._lock = threading.Lock()
        self._abandoned: list[Future[WatchedConnection]] = []
        self._closed = threading.Event()

    def connect(self, until: float) -> WatchedConnection:
        """Return a new connection, or the one that somebody has stopped waiting for.

        Raises:
            psycopg.OperationalError: there is none by ``until``, by the monotonic clock. And what connecting raised.

        """
        with self._lock:
            if self._closed.is_set():
                raise psycopg.OperationalError("this database was closed")
            made = self._left_behind() or self._thread.submit(self._connect)
        try:
            return made.result(max(0.0, until - time.monotonic()))
        except TookTooLong:
            if not made.cancel():  # it has begun: somebody else may have what comes of it
                with self._lock:
                    self._abandoned.append(made)
                    if self._closed.is_set():
                        self._drop()
            raise psycopg.OperationalError("connecting takes too long") from None

    def _left_behind(self) -> Future[WatchedConnection] | None:
        """Return what is still being made, or was made and is still good."""
        while self._abandoned:
            made = self._abandoned.pop()
            if not made.done():
                return made
            if made.exception() is None:
                if not is_disturbed(made.result()):
                    return made
                made.result().close()
        return None

    def close(self) -> None:
        """Close what nobody came for; connections that are still being made are closed as soon as they are."""
        with self._lock:
            self._closed.set()
            self._drop()
        self._thread.shutdown(wait=False)

    def _drop(self) -> None:
        for made in self._abandoned:
            made.add_done_callback(_close)
        self._abandoned.clear()


def _close(made: Future[WatchedConnection]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()
