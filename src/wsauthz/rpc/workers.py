"""The bounded pool of worker threads in which management calls run, and the turns that writes take in it."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from wsauthz.model.errors import Busy, Refused, TooManyRequests, Unavailable
from wsauthz.replica.replica import Replica
from wsauthz.rpc.budget import RefusedWrites, WriteBudget
from wsauthz.tenancy.transaction import Caller

_MOST_QUEUED_SECONDS: Final = 0.7
_UNHEARD_SECONDS: Final = 1.0


class Workers:
    """Threads, and room for so many calls that wait for one; used on the event loop."""

    def __init__(self, replica: Replica, *, threads: int, waiting: int, write_share: float) -> None:
        self._replica = replica
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rpc")
        self._most = threads + waiting
        self._count = 0
        self._budget = WriteBudget(write_share)
        self._refused = RefusedWrites()

    async def submit(
        self,
        work: Callable[[], Any],
        writer: Caller | None = None,
        abandoned: Callable[[BaseException | None], None] = lambda _: None,
    ) -> Any:
        """Run the work in the pool, if it has room; a cancelled call's work still runs to its end.

        With a ``writer`` it is a write, and waits for its turn first. ``abandoned`` is called with what became of the
        work of a cancelled call.

        Raises:
            TooManyRequests: it has none. TooManyRefusals: too many of this writer's calls were refused. Unavailable:
            see ``_unless_late``. And whatever the work raises.

        """
        if writer is not None:
            self._refused.check(writer)
        if self._count >= self._most:
            raise TooManyRequests
        self._count += 1
        try:
            if writer is not None:
                await self._budget.turn()
        except asyncio.CancelledError:
            self._count -= 1
            raise
        running = asyncio.wrap_future(self._start(work, writer))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(lambda ended: abandoned(ended.exception()))
            raise

    def close(self) -> None:
        """Wait for the work that is under way."""
        self._pool.shutdown()

    def _start(self, work: Callable[[], Any], writer: Caller | None) -> Future[Any]:
        """Run work that has room in the pool, and settle up when it has ended."""
        loop = asyncio.get_running_loop()
        costs: list[float] = []
        future = self._pool.submit(copy_context().run, self._unless_late, work, time.monotonic(), costs)
        future.add_done_callback(lambda ended: loop.call_soon_threadsafe(self._left, ended, writer, costs))
        return future

    def _unless_late(self, work: Callable[[], Any], came_at: float, costs: list[float]) -> Any:
        """Do the work, unless it waited while the database did not answer those before it: it would wait as long."""
        now = time.monotonic()
        if now - came_at > _MOST_QUEUED_SECONDS and now - self._replica.seen_at > _UNHEARD_SECONDS:
            raise Unavailable
        began = time.thread_time()
        try:
            return work()
        finally:
            costs.append(time.thread_time() - began)

    def _left(self, ended: Future[Any], writer: Caller | None, costs: list[float]) -> None:
        self._count -= 1
        if writer is None:
            return
        self._budget.settle(sum(costs))
        if isinstance(error := ended.exception(), Refused) and not isinstance(error, Busy | Unavailable):
            self._refused.refused(writer)
