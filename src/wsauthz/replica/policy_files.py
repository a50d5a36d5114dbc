"""Reading the bundle again when its files change, however they are replaced.

The files are polled and not watched: notifications run out (inotify limits), follow a directory that was renamed away,
and miss a link that moved. A poll costs a stat call for each file.
"""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wsauthz.policy.bundle_directory import Fingerprint, fingerprint
from wsauthz.policy.current import Reload

POLL_SECONDS: Final = 0.25
QUIET_SECONDS: Final = 2.0
"""How long the files must stay as they are before they are read: several are saved one after another."""


class PolicyFiles:
    """Polls the files of a bundle. ``last_read`` is their fingerprint from before the bundle was read."""

    def __init__(self, directory: Path, last_read: Fingerprint, reload: Callable[[], Reload]) -> None:
        self._directory = directory
        self._read = self.seen = last_read
        """Of the files that were read, and of those that the last poll found."""
        self._reload = reload

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
            if found != self._read and time.monotonic() - quiet_since >= QUIET_SECONDS:
                reload = await loop.run_in_executor(None, self._reload)
                quiet_since = time.monotonic()
                if not reload.may_pass:
                    self._read = found
            await asyncio.sleep(POLL_SECONDS)
