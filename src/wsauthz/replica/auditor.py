"""Audit entries outside of management transactions: written in the background, and repeated until they are stored."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

from wsauthz.model.errors import Unavailable
from wsauthz.model.places import PLATFORM
from wsauthz.model.targets import Target
from wsauthz.policy.bundle import Bundle
from wsauthz.replica import background, policy_audit
from wsauthz.replica.rejections import Rejections
from wsauthz.replica.replica import Replica
from wsauthz.store import audit, revisions
from wsauthz.store.audit import AuditEntry
from wsauthz.store.audit_keys import OWN
from wsauthz.store.database import Connection
from wsauthz.store.policies import AuditedPolicy
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
    """Records rejected attempts and changes of the policy while an event loop runs; it makes no revision."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._rejections = Rejections()
        self._policies: deque[tuple[AuditedPolicy, Caller]] = deque()
        self._is_key_pending = False
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._most = _MOST_AT_ONCE
        self._is_failing = False
        replica.metrics.audit_pending = lambda: len(self._rejections.pending) + len(self._policies)
        replica.policy_changed = self.policy_changed

    def rejected(self, by: Caller, target: Target, reason: str) -> None:
        """Record an attempt that was rejected now; to be called on the loop, and it never waits."""
        note = AuditNote(target_kind=target.kind, target_id=target.identifier, place=target.place, before={}, after={})
        now = datetime.fromtimestamp(self._replica.now(), UTC)
        self._rejections.add(audit_entry(by, note, now, refusal=reason))
        self._woken.set()

    def policy_changed(self, bundle: Bundle, by: Caller) -> None:
        """Record that a bundle is in force, unless another server has; to be called on the loop, and it never waits."""
        self._policies.append((policy_audit.audited(bundle), by))
        self._woken.set()

    @property
    def _is_pending(self) -> bool:
        return bool(self._is_key_pending or self._policies or self._rejections.pending)

    async def start(self) -> None:
        """Record key and bundle in force, at once if the database takes them, and from then on what is recorded."""
        self._is_key_pending = True
        self.policy_changed(self._replica.policy.bundle, policy_audit.BY_FILES)
        await self._write()
        self._task = background.keep_running("audit", self._run, self._stopping.is_set)

    async def stop(self) -> None:
        """Write what is left, counts included; entries that the database does not take are logged instead."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._rejections.close_windows(all_of_them=True)
        until = time.monotonic() + _STOP_SECONDS
        while self._is_pending and time.monotonic() < until:
            if not await self._write():
                await asyncio.sleep(_PAUSE_SECONDS)
        for entry in self._rejections.pending:
            _log_lost(entry)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await _wait(self._woken, None if self._rejections.is_idle else _TICK_SECONDS)
            self._woken.clear()
            self._rejections.close_windows()
            while self._is_pending and not self._stopping.is_set():
                await _wait(self._stopping, _PAUSE_SECONDS if await self._write() else _TICK_SECONDS)

    async def _write(self) -> bool:
        """Write what has waited longest and return whether it is stored; a failure is logged once."""
        try:
            if self._is_key_pending:
                await self._store(self._record_key)
                self._is_key_pending = False
            await (self._write_policy() if self._policies else self._write_attempts())
        except Unavailable:
            if not self._is_failing:
                _log.error("the audit cannot be written; retrying", extra={"pending": len(self._rejections.pending)})
            self._is_failing = True
            return False
        if self._is_failing:
            _log.info("the audit is written again")
        self._is_failing = False
        return True

    async def _write_policy(self) -> None:
        policy, by = self._policies[0]
        try:
            await self._store(partial(policy_audit.record, policy=policy, by=by, keys=self._replica.audit_keys))
        except Unavailable:
            raise  # it is tried again
        except Exception:  # noqa: BLE001 - logged, and later changes are recorded all the same
            _log.exception("a change of the policy is missing from the audit", extra={"version": policy.version})
        self._policies.popleft()

    async def _write_attempts(self) -> None:
        pending = self._rejections.pending
        entries = pending[: self._most]
        try:
            await self._store(partial(audit.append, entries=entries, at=None, keys=self._replica.audit_keys))
        except Unavailable:
            raise  # they are tried again
        except Exception:  # noqa: BLE001 - logged as soon as it is clear which entry it is about
            # One entry must not keep all others out: they are written one by one until it is found.
            if self._most > 1:
                self._most = 1
                return
            _log.exception("a rejected attempt cannot be audited")
            _log_lost(entries[0])
        del pending[: len(entries)]
        self._most = _MOST_AT_ONCE

    def _record_key(self, connection: Connection) -> None:
        """Audit that entries are signed with another key from now on; the entry is the first one with it."""
        keys, end = self._replica.audit_keys, audit.end_of(connection)
        key_id, _ = keys.signing(end)
        before = end.key_ids[-1] if end.key_ids else OWN
        if key_id != before:
            target = AuditNote(
                target_kind="audit_key", target_id=key_id, place=PLATFORM, before={"key": before}, after={"key": key_id}
            )
            by = Caller(caller="server", actor="", method="audit/key")
            now = revisions.database_time(connection)
            audit.append(connection, [audit_entry(by, target, now)], None, end=end, keys=keys)

    async def _store(self, work: Callable[[Connection], object]) -> None:
        def write() -> None:
            with self._replica.database.write() as connection:
                work(connection)

        await asyncio.get_running_loop().run_in_executor(None, write)


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
