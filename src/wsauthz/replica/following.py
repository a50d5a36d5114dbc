"""Following the database: the poll that tells a replica what other processes committed, and what wakes it early."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Final

from wsauthz.model.errors import InvalidArgument, Unavailable
from wsauthz.replica import background
from wsauthz.replica.replica import Replica
from wsauthz.store.notices import Deaf
from wsauthz.store.revisions import parse_token

_log = logging.getLogger(__name__)

_LISTEN_AGAIN_SECONDS: Final = 1.0
_OWN_SECONDS: Final = 0.1
"""In which a write that was committed here is applied here."""
_LEAST_SECONDS: Final = 0.01
"""Between two polls: many revisions in a row are then told together."""


class Follower:
    """Polls the database for a replica, on a thread of its own, while an event loop runs.

    The poll is the truth. Notifications only wake it, and it is woken, too, whenever listening has begun: what was
    committed before, nobody will tell of.
    """

    def __init__(self, replica: Replica, poll_seconds: float) -> None:
        self._replica = replica
        self._poll_seconds = poll_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow from now on; facts are changed on the running loop."""
        self._replica.loop.adopt()
        self._tasks.append(background.keep_running("poll", self._poll))
        if self._replica.database.can_listen:
            self._tasks.append(background.keep_running("listen", self._listen))

    async def stop(self) -> None:
        """Stop following, once a poll that is under way has ended and given its connection back."""
        await background.stop(*self._tasks)
        # Not on the loop: the poll hops to it, and would wait for it in vain.
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    async def _poll(self) -> None:
        """Ask again and again; every cause of a failure is logged once, until the database answers again."""
        causes: set[str] = set()
        loop = asyncio.get_running_loop()
        replica, metrics = self._replica, self._replica.metrics
        while True:
            self._woken.clear()
            began = time.monotonic()
            try:
                await loop.run_in_executor(self._thread, replica.catch_up, replica.database.poll)
            except Exception as error:  # noqa: BLE001 - see above
                replica.cause = error.cause if isinstance(error, Unavailable) else type(error).__name__
                if replica.cause not in causes:
                    _log.error(
                        "polling the database failed; %s",
                        "answers go on from memory" if replica.ready else "nothing is answered",
                        extra={"age_seconds": self._age(), "cause": replica.cause},
                        exc_info=None if isinstance(error, Unavailable) else error,
                    )
                causes.add(replica.cause)
                metrics.poll_failing = True
            else:
                if metrics.poll_failing:
                    _log.info("the database answers again", extra={"revision": replica.token})
                causes.clear()
                replica.cause = ""
                metrics.poll_failing = False
            # Not wait_for: before Python 3.12 it forgets that it was cancelled when it is woken at the same moment.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()
            await asyncio.sleep(began + _LEAST_SECONDS - time.monotonic())

    async def _listen(self) -> None:
        """Listen for what others commit, again whenever that ends."""
        deaf = False
        while True:
            try:
                async with aclosing(self._replica.database.notices()) as notices:
                    async for token in notices:
                        self._told(token)
                        deaf = False
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end listening for good
                if not deaf:
                    trace = None if isinstance(error, Deaf) else error
                    _log.info("notifications are not heard; changes are polled", exc_info=trace)
                deaf = True
            await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    def _told(self, token: str) -> None:
        """Wake the poll for a revision that is not here; for one written here only if it is not here soon, either."""
        if token != self._replica.committing:
            self._wake_for(token)
        else:
            # Mostly it is being applied. If its commit failed, though, it is another process's, and none of it is here.
            asyncio.get_running_loop().call_later(_OWN_SECONDS, self._wake_for, token)

    def _wake_for(self, token: str) -> None:
        if self._is_news(token):
            self._woken.set()

    def _is_news(self, token: str) -> bool:
        """Tell whether a notification is of a revision that is not here."""
        have = self._replica.revision
        try:
            told = parse_token(token)
        except InvalidArgument:
            return True
        return told.epoch != have.epoch or told.value > have.value

    def _age(self) -> float:
        return round(time.monotonic() - self._replica.seen_at, 1)
