"""Requests that wait until something has arrived at this replica."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from wsauthz.model.errors import TooManyRequests, Unavailable

MOST_WAITING: Final = 1_000
"""Requests that wait for a revision at once (formats.md F)."""


class Arrivals:
    """Lets requests wait, so many at once; used on the event loop."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._waiting = 0

    def tell(self) -> None:
        """Have everybody who waits look again."""
        self._news.set()

    async def wait(self, has_arrived: Callable[[], bool], seconds: float) -> None:
        """Return once ``has_arrived`` says so, which is asked whenever there are news; within ``seconds``.

        Raises:
            Unavailable: it did not come in time. TooManyRequests: as many wait as may. Whatever ``has_arrived`` raises.

        """
        deadline = time.monotonic() + seconds
        if self._waiting >= MOST_WAITING:
            raise TooManyRequests
        self._waiting += 1
        try:
            while not has_arrived():
                left = deadline - time.monotonic()
                if left <= 0:
                    message = "This revision has not arrived here yet; try again"
                    raise Unavailable(message)
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), left)
        finally:
            self._waiting -= 1
