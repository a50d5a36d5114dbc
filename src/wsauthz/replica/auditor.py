"""Audit entries outside of management transactions: written in the background, and repeated until they are stored."""

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from wsauthz.model.errors import Unavailable
from wsauthz.model.targets import Target
from wsauthz.replica import background
from wsauthz.replica.rejections import Rejections
from wsauthz.replica.replica import Replica
from wsauthz.store import audit
from wsauthz.store.audit import AuditEntry
from wsauthz.tenancy.transaction import AuditNote, Caller, audit_entry

_log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 100
"""Entries of one transaction; other writers wait for it."""
_PAUSE_SECONDS: Final = 0.05
"""Between two transactions, so that attempts are written together and other writers come in between."""
_TICK_SECONDS: Final = 1.0
"""Between two looks for counts that are due, and between two tries while the database does not take entries."""
_STOP_SECONDS: Final = 1.0
"""How long a server that stops goes on trying."""


class Auditor:
    """Records rejected attempts while an event loop runs; it makes no revision."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._rejections = Rejections()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._most = _MOST_AT_ONCE
        self._is_failing = False
        replica.metrics.audit_pending = lambda: len(self._rejections.pending)

    def rejected(self, by: Caller, target: Target, reason: str) -> None:
        """Record an attempt that was rejected now; to be called on the loop, and it never waits."""
        note = AuditNote(target_kind=target.kind, target_id=target.identifier, place=target.place, before={}, after={})
        now = datetime.fromtimestamp(self._replica.now(), UTC)
        self._rejections.add(audit_entry(by, note, now, refusal=reason))
        self._woken.set()

    def start(self) -> None:
        """Write what is recorded from now on."""
        self._task = background.keep_running("audit", self._run, self._stopping.is_set)

    async def stop(self) -> None:
        """Write what is left, counts included; entries that the database does not take are logged instead."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._rejections.close_windows(all_of_them=True)
        until = time.monotonic() + _STOP_SECONDS
        while self._rejections.pending and time.monotonic() < until:
            await self._write()
        for entry in self._rejections.pending:
            _log_lost(entry)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await _wait(self._woken, None if self._rejections.is_idle else _TICK_SECONDS)
            self._woken.clear()
            self._rejections.close_windows()
            while self._rejections.pending and not self._stopping.is_set():
                await _wait(self._stopping, _PAUSE_SECONDS if await self._write() else _TICK_SECONDS)

    async def _write(self) -> bool:
        """Write the oldest entries and return whether they are stored; a failure is logged once."""
        pending = self._rejections.pending
        entries = pending[: self._most]
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._append, entries)
        except Unavailable:
            if not self._is_failing:
                _log.error("rejected attempts cannot be audited; retrying")
            self._is_failing = True
            return False
        except Exception:  # noqa: BLE001 - logged as soon as it is clear which entry it is about
            # One entry must not keep all others out: they are written one by one until it is found.
            if self._most == 1:
                _log.exception("a rejected attempt cannot be audited")
                _log_lost(pending.pop(0))
            self._most = 1
            return False
        del pending[: len(entries)]
        if self._is_failing:
            _log.info("rejected attempts are audited again")
        self._is_failing, self._most = False, _MOST_AT_ONCE
        return True

    def _append(self, entries: list[AuditEntry]) -> None:
        with self._replica.database.write() as connection:
            audit.append(connection, entries, None)


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, at most for ``seconds`` (None: for good)."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _log_lost(entry: AuditEntry) -> None:
    _log.error(
        "a rejected attempt is missing from the audit",
        extra={
            "method": entry.method,
            "caller": entry.caller,
            "actor": entry.actor,
            "place": f"{entry.place_kind}:{entry.place_id}",
            "reason": entry.refusal,
            "attempts": entry.attempts,
        },
    )
