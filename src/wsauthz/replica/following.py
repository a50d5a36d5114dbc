"""Following the database: the poll that tells a replica what other processes committed."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from wsauthz.replica.replica import Replica

_log = logging.getLogger(__name__)


class Follower:
    """Polls the database for a replica, on a thread of its own, while an event loop runs."""

    def __init__(self, replica: Replica, poll_seconds: float) -> None:
        self._replica = replica
        self._poll_seconds = poll_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._polling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow from now on; facts are changed on the running loop."""
        self._replica.loop.adopt()
        self._polling = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Stop following, once a poll that is under way has ended and given its connection back."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        # Not on the loop: the poll hops to it, and would wait for it in vain.
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    async def _poll(self) -> None:
        """Ask again and again; what goes wrong is logged once and tried again, and answers go on from memory."""
        loop = asyncio.get_running_loop()
        metrics = self._replica.metrics
        while True:
            try:
                await loop.run_in_executor(self._thread, self._replica.catch_up)
            except Exception:  # noqa: BLE001 - see above
                if not metrics.poll_failing:
                    _log.exception("polling the database failed; answers go on from memory")
                metrics.poll_failing = True
            else:
                metrics.poll_failing = False
            await asyncio.sleep(self._poll_seconds)
