"""Threads of their own for calls that take long, so that they keep nobody else waiting."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from wsauthz.model.errors import TooManyRequests, Unavailable
from wsauthz.policy.current import CarryOn
from wsauthz.tenancy.transaction import Caller

THREADS: Final = 2
MOST_CALLS: Final = 8
"""Calls that run or wait in one pool."""
MOST_OF_ONE_ACTOR: Final = 4


class LongCalls:
    """A small pool whose work ends early when its caller is gone or the server stops; used on the event loop."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._given_up: set[threading.Event] = set()
        self._by_actor: Counter[tuple[str, str]] = Counter()
        self._is_stopping = False

    async def run(self, by: Caller, work: Callable[[CarryOn], Any]) -> Any:
        """Return what the work returns.

        Raises:
            TooManyRequests: too many such calls run or wait, of this actor or of all. Unavailable: the server stops.
            And whatever the work raises.

        """
        actor = (by.caller, by.actor)
        if self._is_stopping:
            raise Unavailable
        if len(self._given_up) >= MOST_CALLS or self._by_actor[actor] >= MOST_OF_ONE_ACTOR:
            raise TooManyRequests
        loop, given_up = asyncio.get_running_loop(), threading.Event()

        def carry_on() -> None:
            if given_up.is_set():
                raise Unavailable

        def left() -> None:
            self._given_up.discard(given_up)
            self._by_actor[actor] -= 1
            if not self._by_actor[actor]:
                del self._by_actor[actor]

        self._given_up.add(given_up)
        self._by_actor[actor] += 1
        future = self._pool.submit(copy_context().run, work, carry_on)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(left))
        try:
            return await asyncio.wrap_future(future)  # a cancelled call that still waits is never begun
        finally:
            given_up.set()

    def stop(self) -> None:
        """End the calls that run and accept no others; does not wait for them."""
        self._is_stopping = True
        for given_up in self._given_up:
            given_up.set()

    def close(self) -> None:
        """Wait for the calls that run; blocks."""
        self._pool.shutdown(cancel_futures=True)
