"""The bounded pool of worker threads in which management calls run, and the turns that writes take in it."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from wsauthz.model.errors import Busy, Refused, Unavailable
from wsauthz.replica.replica import Replica
from wsauthz.rpc.budget import RefusedWrites, WriteBudget
from wsauthz.rpc.waiting_room import Place, WaitingRoom
from wsauthz.tenancy.transaction import Caller

_MOST_QUEUED_SECONDS: Final = 0.7
_UNHEARD_SECONDS: Final = 1.0


class Workers:
    """Threads, and room for so many calls that wait for one; used on the event loop."""

    def __init__(self, replica: Replica, *, threads: int, waiting: int, write_share: float) -> None:
        self._replica = replica
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rpc")
        self._budget = WriteBudget(write_share)
        self.room = WaitingRoom(self._budget, threads=threads, most=threads + waiting)
        self._refused = RefusedWrites()

    async def read(self, work: Callable[[], Any], by: Caller) -> Any:
        """Run a read in the pool when it is its turn; one that is cancelled before is never begun.

        Raises:
            TooManyRequests: there is no room. Unavailable: see ``_unless_late``. And whatever the work raises.

        """
        came_at = time.monotonic()
        place = await self.room.enter((by.caller, by.actor), writes=False)
        return await asyncio.wrap_future(self._start(work, by, place, came_at))

    async def write(
        self, work: Callable[[], Any], by: Caller, abandoned: Callable[[BaseException | None], None]
    ) -> Any:
        """Run a write in the pool when it is its turn; one that has begun runs to its end, even if it is cancelled.

        ``abandoned`` is called with what became of it then.

        Raises:
            TooManyRefusals: too many of these calls were refused. And see ``read``.

        """
        came_at = time.monotonic()
        self._refused.check(by)
        place = await self.room.enter((by.caller, by.actor), writes=True)
        running = asyncio.wrap_future(self._start(work, by, place, came_at))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(lambda ended: abandoned(ended.exception()))
            raise

    def close(self) -> None:
        """Wait for the work that is under way."""
        self._pool.shutdown()

    def _start(self, work: Callable[[], Any], by: Caller, place: Place, came_at: float) -> Future[Any]:
        """Run work that was admitted, and settle up when it has ended."""
        loop = asyncio.get_running_loop()
        costs: list[float] = []
        future = self._pool.submit(copy_context().run, self._unless_late, work, came_at, costs)
        future.add_done_callback(lambda ended: loop.call_soon_threadsafe(self._left, ended, by, place, costs))
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

    def _left(self, ended: Future[Any], by: Caller, place: Place, costs: list[float]) -> None:
        if place.writes:
            self._budget.settle(sum(costs))
        self.room.leave(place)
        if not place.writes or ended.cancelled():
            return
        if isinstance(error := ended.exception(), Refused) and not isinstance(error, Busy | Unavailable):
            self._refused.refused(by)
