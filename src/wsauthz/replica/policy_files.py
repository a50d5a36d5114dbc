"""Reading the bundle again when its files change, however they are replaced.

The files are polled and not watched: notifications run out (inotify limits), follow a directory that was renamed away,
and miss a link that moved. A poll costs a stat call for each file.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wsauthz.policy.bundle_directory import Fingerprint, fingerprint
from wsauthz.policy.current import CarryOn, Reload

POLL_SECONDS: Final = 0.25
QUIET_SECONDS: Final = 2.0
"""How long the files must stay as they are before they are read: several are saved one after another."""


_UNREAD: Final = Fingerprint(files=(), folders=frozenset())


class GivenUp(Exception):
    """Nobody waits for the bundle any more."""


class PolicyFiles:
    """Polls the files of a bundle. ``last_read`` is their fingerprint from before the bundle was read."""

    def __init__(self, directory: Path, last_read: Fingerprint, reload: Callable[[CarryOn], Reload]) -> None:
        self._directory = directory
        self._read = self.seen = last_read
        """Of the files that were read, and of those that the last poll found."""
        self._reload = reload
        self._is_asked = False

    def ask(self) -> None:
        """Have the files read at the next poll, whether they changed or not; on the loop."""
        self._is_asked = True

    async def follow(self) -> None:
        """Call ``reload``, in a worker thread, after each change of the files; until cancelled.

        A directory behind a link that moved is read at once, files that were changed in place once they are quiet.

        Raises:
            whatever ``reload`` raises; followed again, the files are then read again.

        """
        loop = asyncio.get_running_loop()
        quiet_since = time.monotonic()
        while True:
            # In a thread: a network file system that hangs must not stop decisions.
            found = await loop.run_in_executor(None, fingerprint, self._directory)
            if found != self.seen:
                if found != await loop.run_in_executor(None, fingerprint, self._directory):
                    await asyncio.sleep(POLL_SECONDS / 10)
                    continue  # a link moved between two files: half of the fingerprint is from before that
                quiet_since = -math.inf if found.is_swapped(self.seen) else time.monotonic()
                self.seen = found
            is_quiet = time.monotonic() - quiet_since >= QUIET_SECONDS
            if self._is_asked or (found != self._read and is_quiet):
                self._is_asked = False
                reload = await self._reload_once()
                quiet_since = time.monotonic()
                self._read = _UNREAD if reload.may_pass else found
            await asyncio.sleep(POLL_SECONDS)

    async def _reload_once(self) -> Reload:
        """Call ``reload``, whose thread ends soon after this is cancelled: a server that stops does not wait for it."""
        given_up = threading.Event()

        def carry_on() -> None:
            if given_up.is_set():
                raise GivenUp

        try:
            return await asyncio.get_running_loop().run_in_executor(None, self._reload, carry_on)
        finally:
            given_up.set()
