"""One process's copy of the facts: loads them at one revision, follows the database, and runs reads and writes on them.

Facts change only on the event loop, in one synchronous step for each revision, and decisions are made there. A writing
transaction catches up while it holds the revision row and decides on exactly that state (reliability.md section 1).
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from wsauthz.metrics import Metrics, Population
from wsauthz.model.errors import RevisionUnknown, TooFarBehind, Unavailable
from wsauthz.model.places import PLATFORM
from wsauthz.policy.current import CurrentPolicy, Reload
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.replica.loop import Loop
from wsauthz.replica.population import population
from wsauthz.store import audit, revisions, snapshot
from wsauthz.store.database import Connection, Database
from wsauthz.store.revisions import Change, Revision
from wsauthz.tenancy.transaction import AuditNote, Caller, Reading, Transaction, audit_entry

_log = logging.getLogger(__name__)
T = TypeVar("T")

RELOAD: Final = revisions.RELOAD[0]
UNRELATED: Final = "unrelated"
"""The kind of a change that no decision depends on; every revision has at least one change, so a gap shows."""
MOST_CHANGES_UNDER_LOCK: Final = 1_000
"""A writer further behind than this lets others go first and is told to try again."""
_MOST_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[T]):
    """What a write returned, and the revision it is visible from."""

    answer: T
    revision: Revision


class _Unchanged(Exception):
    """Rolls a transaction back that recorded nothing, and carries its answer."""

    def __init__(self, answer: Any, revision: Revision) -> None:
        super().__init__()
        self.answer = answer
        self.revision = revision


class Replica:
    """Facts, the policy in force, and the database they follow."""

    def __init__(self, database: Database, policy: CurrentPolicy, metrics: Metrics) -> None:
        self.database = database
        self.policy = policy
        self.metrics = metrics
        self.facts = Facts()
        self.revision = Revision(value=0, epoch="")
        self.token = ""
        """The revision as callers are given it."""
        self.seen_at = 0.0
        """When the newest answer of the database was asked for; ``time.monotonic()``."""
        self._clock_offset = 0.0
        self.loop = Loop()
        self._following: asyncio.Task[None] | None = None
        self._advanced = asyncio.Event()
        self._trusted = False
        self._poller = ThreadPoolExecutor(1, thread_name_prefix="poll")

    @property
    def rules(self) -> Ruleset:
        """The rules in force."""
        return self.policy.bundle.rules

    @property
    def ready(self) -> bool:
        """Whether answers may be given."""
        return self._trusted

    def check_ready(self) -> None:
        """Return if answers may be given.

        Raises:
            Unavailable: nothing is loaded, or what is loaded is not to be trusted.

        """
        if not self._trusted:
            raise Unavailable

    def now(self) -> float:
        """Return the database's time in Unix seconds."""
        return time.time() + self._clock_offset

    def load(self) -> None:
        """Load every fact at one revision and put them in place of the present ones; blocks.

        Raises:
            Unavailable: the database does not answer.

        """
        asked_at = time.monotonic()
        had = self.revision
        gc.disable()  # a collection over a million facts stops everything for a tenth of a second and more
        try:
            with self.database.read() as connection:
                revision = revisions.current(connection)
                offset = revisions.database_time(connection).timestamp() - time.time()
                facts = Facts()
                for kind, values in snapshot.load(connection):
                    facts.apply(kind, values)
            self.loop.call(lambda: self._swap(facts, revision, had, offset, asked_at))
            gc.collect()
            gc.freeze()
        finally:
            gc.enable()

    async def follow(self, poll_seconds: float) -> None:
        """Ask the database for what changed, again and again; what goes wrong is logged and tried again."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._poller, self.catch_up)
                self.metrics.poll_failing = False
            except Exception:  # noqa: BLE001 - logged below, and tried again
                if not self.metrics.poll_failing:
                    _log.exception("polling the database failed; answers go on from memory")
                self.metrics.poll_failing = True
            await asyncio.sleep(poll_seconds)

    def start(self, poll_seconds: float) -> None:
        """Start following, on the running event loop."""
        self.loop.adopt()
        self._following = asyncio.create_task(self.follow(poll_seconds))

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self._poller.shutdown(wait=False)

    def catch_up(self) -> None:
        """Read and apply what was committed since the last time; in a worker thread, without a lock."""
        while True:
            asked_at = time.monotonic()
            with self.database.read() as connection:
                newest = revisions.current(connection)
                if newest.epoch != self.revision.epoch or newest.value < self.revision.value or not self._trusted:
                    break
                offset = revisions.database_time(connection).timestamp() - time.time()
                changes = revisions.changes_after(connection, self.revision.value, _MOST_AT_ONCE)
            if _needs_reload(changes, newest, self.revision):
                break
            reached = changes[-1].revision if changes else newest.value
            self.loop.call(partial(self._apply, changes, newest.epoch, reached, offset, asked_at))
            if reached >= newest.value:
                return
        self.load()

    async def reached(self, token: str, seconds: float) -> None:
        """Return once the revision of the token has been applied; within ``seconds``.

        Raises:
            RevisionUnknown: the token is of another database. Unavailable: it did not come in time.

        """
        epoch, _, number = token.partition(".")
        if epoch != self.revision.epoch or not number.isdecimal():
            raise RevisionUnknown
        deadline = time.monotonic() + seconds
        while self.revision.value < int(number):
            left = deadline - time.monotonic()
            if left <= 0:
                message = "This revision has not arrived here yet; try again"
                raise Unavailable(message)
            self._advanced.clear()
            try:
                await asyncio.wait_for(self._advanced.wait(), left)
            except TimeoutError:
                continue

    def read(self, by: Caller, work: Callable[[Reading], T]) -> T:
        """Run a read in this worker thread on one snapshot of the database."""
        with self.database.read() as connection:
            return work(Reading(connection=connection, by=by, ask_loop=self.look))

    def look(self, look: Callable[[Facts, Ruleset, float], T]) -> T:
        """Return what ``look`` returns when it is called on the loop with facts, rules and the time."""
        return self.loop.call(lambda: look(self.facts, self.rules, self.now()))

    def write(self, by: Caller, work: Callable[[Transaction], T]) -> Written[T]:
        """Run one writing transaction in this worker thread: lock, catch up, work, record, commit, apply.

        What records no change is rolled back and leaves no revision behind.

        Raises:
            TooFarBehind: more than 1,000 changes were missing under the lock. Refused: whatever ``work`` refuses.

        """
        self.check_ready()
        self.catch_up()
        try:
            tx, answer = self._transact(by, work)
        except _Unchanged as unchanged:
            return Written(answer=unchanged.answer, revision=unchanged.revision)
        changes = [Change(revision=tx.revision.value, kind=kind, values=values) for kind, values in tx.changes]
        if any(change.kind == RELOAD for change in changes):
            self.load()
        else:
            self.loop.call(
                partial(self._apply, changes, tx.revision.epoch, tx.revision.value, self._clock_offset, None)
            )
        return Written(answer=answer, revision=tx.revision)

    def reload_policy(self) -> Reload:
        """Read the bundle directory again, in this worker thread, and put in force what is good."""
        reload = self.policy.read()
        self.loop.call(lambda: self.policy.put(reload))
        result = "refused" if reload.problems else "changed" if reload.changed else "unchanged"
        self.metrics.reloads[result] += 1
        if reload.problems:
            _log.error(
                "the bundle was refused; the last good one stays", extra={"problems": list(reload.problems)[:20]}
            )
        else:
            self.metrics.reloaded_at = self.policy.loaded_at
            _log.info("the bundle was read", extra={"version": reload.bundle.version, "changed": reload.changed})
        return reload

    def population(self) -> Population:
        """Return what is held now, for a scrape; asked from any thread."""
        return self.loop.call(
            lambda: population(
                self.facts,
                self.policy,
                revision=self.revision.value,
                revision_age_seconds=time.monotonic() - self.seen_at,
                ready=self.ready,
            )
        )

    def audit_refusal(self, by: Caller, reason: str, attempts: int) -> None:
        """Audit refused attempts in a transaction of its own that makes no revision; failing changes no answer."""
        try:
            with self.database.write() as connection:
                now = revisions.database_time(connection)
                note = AuditNote(target_kind="", target_id="", place=PLATFORM, before={}, after={})
                audit.append(connection, [audit_entry(by, note, now, refusal=reason, attempts=attempts)], None)
        except Exception:  # noqa: BLE001 - logged; the answer to the caller stays what it is
            _log.exception("a refused attempt could not be audited", extra={"method": by.method, "actor": by.actor})

    def _transact(self, by: Caller, work: Callable[[Transaction], T]) -> tuple[Transaction, T]:
        with self.database.write() as connection:
            revision, now = revisions.advance(connection)
            facts, rules = self._caught_up(connection, revision)
            tx = Transaction(connection=connection, facts=facts, rules=rules, now=now, by=by, revision=revision)
            answer = work(tx)
            if not (tx.changes or tx.notes):
                raise _Unchanged(answer, Revision(value=revision.value - 1, epoch=revision.epoch))
            if not tx.changes:
                tx.changed((UNRELATED, {}))
            revisions.record(connection, revision, tx.changes)
            audit.append(connection, [audit_entry(by, note, now) for note in tx.notes], revision)
        return tx, answer

    def _caught_up(self, connection: Connection, revision: Revision) -> tuple[Facts, Ruleset]:
        """Bring the facts to the state right before ``revision``, whose row is held, and return them."""
        before = revision.value - 1
        if self.revision.epoch != revision.epoch or self.revision.value > before:
            raise TooFarBehind  # a restored database; the poll reloads
        changes: Sequence[Change] = ()
        if self.revision.value < before:
            changes = revisions.changes_after(connection, self.revision.value, MOST_CHANGES_UNDER_LOCK)
            if len(changes) > MOST_CHANGES_UNDER_LOCK or _needs_reload(changes, revision, self.revision):
                raise TooFarBehind
        return self.loop.call(lambda: self._at(changes, revision.epoch, before))

    def _at(self, changes: Sequence[Change], epoch: str, before: int) -> tuple[Facts, Ruleset]:
        if changes:
            self._apply(changes, epoch, changes[-1].revision, self._clock_offset, None)
        if self.revision.value != before:
            raise TooFarBehind
        return self.facts, self.rules

    def _apply(
        self, changes: Sequence[Change], epoch: str, reached: int, offset: float, asked_at: float | None
    ) -> None:
        """Apply whole revisions, in order, on the loop; those already applied are skipped."""
        if epoch != self.revision.epoch:
            return
        try:
            for change in changes:
                if self.revision.value < change.revision <= reached:
                    self.facts.apply(change.kind, change.values)
        except Exception:
            self._trusted = False  # half-applied facts must not answer; the next poll loads new ones
            _log.exception("a committed change could not be applied")
            raise
        self._clock_offset = offset
        if asked_at is not None:
            self.seen_at = asked_at
        if reached > self.revision.value:
            self.revision = Revision(value=reached, epoch=epoch)
            self.token = self.revision.token
            self._advanced.set()

    def _swap(self, facts: Facts, revision: Revision, had: Revision, offset: float, asked_at: float) -> None:
        overtaken = revision.epoch == self.revision.epoch and had.value <= revision.value < self.revision.value
        if overtaken and self._trusted:
            return  # a later write was applied while this snapshot was being read
        self.facts, self.revision, self._clock_offset, self.seen_at = facts, revision, offset, asked_at
        self.token = revision.token
        self._trusted = True
        self._advanced.set()


def _needs_reload(changes: Sequence[Change], newest: Revision, have: Revision) -> bool:
    """Tell whether applying is not enough: changes that are no longer kept, or an import."""
    return newest.pruned > have.value or any(change.kind == RELOAD for change in changes)
