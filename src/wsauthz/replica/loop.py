"""The hop from a worker thread to the event loop, where facts change and decisions are made."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from wsauthz.model.errors import Unavailable

T = TypeVar("T")

_HOP_SECONDS: Final = 5.0


class Loop:
    """The event loop of a server; a command has none, and calls run where they are made."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def adopt(self) -> None:
        """Take the running loop as the one to hop to."""
        self._loop = asyncio.get_running_loop()

    def call(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns on the loop. ``work`` must be short and must never wait.

        Raises:
            Unavailable: the loop did not come to it within five seconds. And whatever ``work`` raises.

        """
        if self._loop is None or self._loop.is_closed() or _running() is self._loop:
            return work()
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
                future.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        try:
            return future.result(timeout=_HOP_SECONDS)
        except TimeoutError as late:
            raise Unavailable from late


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
