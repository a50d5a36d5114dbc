"""The end of the audit, published where people who can write the database cannot take it back: in logs and metrics."""

import asyncio
import logging
import time
from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.model.errors import Unavailable
from wsauthz.replica import background
from wsauthz.store import audit_verification
from wsauthz.store.audit_verification import Head
from wsauthz.store.database import Database

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
"""How often the end is read: what is cut off sooner than this after it was written may go unnoticed."""
LOG_SECONDS: Final = 3600.0
_METRIC_DIGITS: Final = 13
"""Hex digits of a MAC that a number of a metric holds exactly."""


class AuditHead:
    """Reads the end of the audit, logs it hourly and when the server stops, and notices when it goes back."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._seen = Head(count=0, mac="")
        self._logged_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Publish from now on, for the first time at once."""
        self._task = background.keep_running("audit_head", self._run)

    async def stop(self) -> None:
        """Publish the last entry; call it when nothing is written any more."""
        if self._task is None:
            return
        await background.stop(self._task)
        if not self._metrics.poll_failing:
            await self._look()
        self._log()

    async def _run(self) -> None:
        while True:
            await self._look()
            if self._seen.count and time.monotonic() - self._logged_at >= LOG_SECONDS:
                self._log()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, self._read)
        except Unavailable:
            return  # the poll says so, and the end is read again soon
        seen, self._seen = self._seen, found
        if found.count < seen.count or (found.count == seen.count and found.mac != seen.mac):
            self._metrics.audit_regressions += 1
            _log.error(
                "the audit has lost entries, or other ones are in their place; compare it with backups and logs",
                extra={"audit_head": found.token, "audit_head_before": seen.token},
            )
        self._metrics.audit_head = (found.count, int(found.mac[:_METRIC_DIGITS] or "0", 16))

    def _read(self) -> Head:
        with self._database.read() as connection:
            return audit_verification.head(connection)

    def _log(self) -> None:
        self._logged_at = time.monotonic()
        _log.info("audit head", extra={"audit_head": self._seen.token})
