"""One process's copy of the facts: loads them at one revision, catches up with the database, and lets them be asked.

Facts change only on the event loop, in one synchronous step for each revision, and decisions are made there.
"""

import gc
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final, TypeVar

from wsauthz.metrics import Metrics, Population
from wsauthz.model.errors import RevisionUnknown, Unavailable
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.bundle_problems import BundleProblem, find_problems
from wsauthz.policy.current import CarryOn, CurrentPolicy, Reload
from wsauthz.policy.facts import Facts
from wsauthz.policy.loading import fill
from wsauthz.policy.ruleset import Ruleset
from wsauthz.replica import restores
from wsauthz.replica.arrivals import Arrivals
from wsauthz.replica.clock import DatabaseClock
from wsauthz.replica.hearing import Heard, hear, needs_reload
from wsauthz.replica.history import History
from wsauthz.replica.loop import Loop
from wsauthz.replica.policy_audit import BY_FILES
from wsauthz.replica.population import population
from wsauthz.replica.watchers import Watchers
from wsauthz.store import revisions, snapshot
from wsauthz.store.audit import NO_KEYS
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.database import Connection, Database
from wsauthz.store.revisions import Change, Mark, Revision
from wsauthz.store.scheduler import NoScheduler, Scheduler
from wsauthz.store.sqlite_file import FileReplaced
from wsauthz.tenancy.transaction import Caller, Reading

_log = logging.getLogger(__name__)
T = TypeVar("T")

_MOST_AT_ONCE: Final = 10_000
_PATIENCE: Final = 5.0
"""How much longer than others a statement that loads facts may take."""
_LOOK_SECONDS: Final = 0.05
_WORTH_FREEZING: Final = 20_000
"""Memberships from which on the collector is kept away from the facts; collecting everything first costs a while."""
_WORTH_TELLING: Final = 250_000
"""Facts after which a load that goes on says how far it is."""


class Replica:
    """Facts, the policy in force, and the database they follow."""

    def __init__(
        self,
        database: Database,
        policy: CurrentPolicy,
        metrics: Metrics,
        scheduler: Scheduler | None = None,
        *,
        stale_seconds: float = math.inf,
        audit_keys: AuditKeys = NO_KEYS,
    ) -> None:
        """Prepare an empty replica; it answers until ``stale_seconds`` after it was last known to hold everything."""
        self.database = database
        self.policy = policy
        self.metrics = metrics
        self.audit_keys = audit_keys
        self.scheduler = scheduler or NoScheduler()
        """What writing transactions tell of schedules."""
        self.facts = Facts()
        self.revision = Revision(value=0, epoch="")
        self.token = ""
        """The revision as callers are given it."""
        self._history = History()
        self.mark = Mark()
        """Of the newest revision that was polled or written here; a database that was restored lacks it."""
        self.committing = ""
        """The notification of the newest write here, which is about to apply it itself if it was committed."""
        self.seen_at = 0.0
        """When it was asked for the newest answer with which everything committed was here; ``time.monotonic()``."""
        self._clock = DatabaseClock()
        self.policy_changed: Callable[[Bundle, Caller], None] = lambda _bundle, _by: None
        """Called on the loop with each bundle that is put in force, and on whose behalf."""
        self.loop = Loop()
        self.watchers = Watchers(database, policy.bundle.version)
        """Who is told what is applied here."""
        self._arrivals = Arrivals()
        """Told whenever the database was heard of, for those who wait for a revision."""
        self._trusted = False
        self._problem = "nothing is loaded yet"
        """Why the facts are not trusted."""
        self.cause = ""
        """Why the newest poll failed; empty: it did not."""
        self._stale_seconds = stale_seconds
        self._answers_until = -math.inf
        """By the monotonic clock, which goes on while the process is stopped; set with ``seen_at`` and ``_trusted``."""
        # One load, and one reading of the bundle, at a time: of two the older result could else come last, and stay.
        self._loading = threading.Lock()
        self._reading_policy = threading.Lock()

    @property
    def rules(self) -> Ruleset:
        """The rules in force."""
        return self.policy.bundle.rules

    @property
    def ready(self) -> bool:
        """Whether answers may be given."""
        return time.monotonic() < self._answers_until

    def why_not_ready(self) -> str:
        """Return why no answers are given, for those who run the server; empty: they are given."""
        if self.ready:
            return ""
        unheard = f"the database has not been reached for {self._stale_seconds:g} s"
        return f"{unheard if self._trusted else self._problem}{f': {self.cause}' if self.cause else ''}"

    def check_ready(self) -> None:
        """Return if answers may be given.

        Raises:
            Unavailable: nothing is loaded, or what is loaded is not to be trusted, or the database was not heard for
            so long that it may be wrong by now.

        """
        if time.monotonic() >= self._answers_until:
            raise Unavailable

    def now(self) -> float:
        """Return the database's time in Unix seconds; it never goes back."""
        return self._clock.now()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Answer nothing more if, within the block, the database turns out to be another one; in a worker thread."""
        try:
            yield
        except FileReplaced as replaced:
            self.loop.call(partial(self._distrust, str(replaced.cause)))
            raise

    def load(self) -> None:
        """Load every fact at one revision and put them in place of the present ones; blocks.

        Raises:
            Unavailable: the database does not answer.

        """
        with self._loading:
            self._load()

    def _load(self) -> None:
        asked_at = time.monotonic()
        had, had_memberships = self.revision, self.facts.roles.total()
        gc.disable()  # a collection over a million facts stops everything for a tenth of a second and more
        try:
            with self.database.read(patience=_PATIENCE) as connection:
                heard = hear(connection, asked_at)
                history = History.of(revisions.digests(connection), heard.newest)
                facts = Facts()
                for number in fill(facts, snapshot.load(connection)):
                    if number % _WORTH_TELLING == 0:
                        seconds = round(time.monotonic() - asked_at, 1)
                        _log.info("loading", extra={"facts": number, "seconds": seconds})
            self.loop.call(lambda: self._swap(facts, history, had, heard))
            if max(facts.roles.total(), had_memberships) >= _WORTH_FREEZING:
                gc.unfreeze()  # the facts before this load are cycles, and frozen: they would stay for good
                gc.collect()
                gc.freeze()
        finally:
            gc.enable()

    def catch_up(self, ask: Callable[[], AbstractContextManager[Connection]] | None = None) -> None:
        """Read and apply what was committed since the last time; in a worker thread, without a lock.

        ``ask`` gives the connection (default: any that reads).

        Raises:
            Unavailable: the database does not answer.

        """
        with self.asking():
            self._catch_up(ask or self.database.read)

    def _catch_up(self, ask: Callable[[], AbstractContextManager[Connection]]) -> None:
        while self._trusted:
            have, seen, asked_at = self.revision, self.mark, time.monotonic()
            with ask() as connection:
                heard = hear(connection, asked_at)
                newest = heard.newest
                changes = revisions.changes_after(connection, have.value, _MOST_AT_ONCE)
                is_new = newest.value != seen.value
                there = revisions.mark(connection, seen.value) if is_new else heard.mark
            if newest.epoch == have.epoch and (newest.value < have.value or not seen.may_be(there)):
                # Other replicas may ask only when the new history is as long as the one they have.
                _log.warning("the database was restored: a new epoch begins", extra={"lost": have.token})
                restores.renew(self.database, have, seen, self.audit_keys)
                break
            if newest.epoch != have.epoch or needs_reload(changes, newest, have):
                break
            reached = changes[-1].revision if changes else have.value
            self.loop.call(partial(self._heard, changes, reached, heard))
            if self.revision.value >= newest.value:
                return
        self.load()

    async def reached(self, wanted: Revision, seconds: float) -> None:
        """Return once the revision has been applied; within ``seconds``.

        Raises:
            RevisionUnknown: it is of another database or a lost history, its revision is not kept any more, or
            the database, asked since, has not got so far.
            Unavailable: it did not come in time. TooManyRequests: as many wait as may.

        """
        came_at = time.monotonic()

        def has_arrived() -> bool:
            is_there = self.revision.value >= wanted.value
            is_known = self._history.knows(wanted) if is_there else self.seen_at <= came_at
            if wanted.epoch != self.revision.epoch or not is_known:
                raise RevisionUnknown
            return is_there

        if not has_arrived():
            await self._arrivals.wait(has_arrived, seconds)

    def read(self, by: Caller, work: Callable[[Reading], T]) -> T:
        """Run a read in this worker thread on one snapshot of the database."""
        with self.database.read() as connection:
            return work(Reading(connection=connection, by=by, ask_loop=self.look))

    def look(self, look: Callable[[Facts, Ruleset, float], T]) -> T:
        """Return what ``look`` returns when it is called on the loop with facts, rules and the time."""
        return self.loop.call(lambda: look(self.facts, self.rules, self.now()))

    def reload_policy(self, by: Caller = BY_FILES, carry_on: CarryOn = lambda: None) -> Reload:
        """Read the bundle directory again, in this worker thread, and put in force what is good.

        Raises:
            whatever ``carry_on`` raises, which is called every few milliseconds; nothing is changed then.

        """
        while not self._reading_policy.acquire(timeout=_LOOK_SECONDS):
            carry_on()
        try:
            known = self.policy.problems
            reload = self.policy.read(carry_on)
            self.loop.call(lambda: self._put(reload, by))
        finally:
            self._reading_policy.release()
        result = "refused" if reload.problems else "changed" if reload.changed else "unchanged"
        self.metrics.reloads[result] += 1
        if not reload.problems:
            self.metrics.reloaded_at = self.policy.loaded_at
            _log.info("the bundle was read", extra={"version": reload.bundle.version, "changed": reload.changed})
        elif not reload.may_pass or reload.problems != known:  # those that may pass are met again every two seconds
            _log.error(
                "the bundle was refused; the last good one stays", extra={"problems": list(reload.problems)[:20]}
            )
        return reload

    def _put(self, reload: Reload, by: Caller) -> None:
        """Put in force what was read, and tell those who watch in the same step; on the loop."""
        self.policy.put(reload)
        if reload.changed:
            self.policy_changed(reload.bundle, by)
            self.watchers.policy_put(self.policy.bundle.version)

    def bundle_problems(self) -> list[BundleProblem]:
        """Return what is wrong with the bundle in force, on the loop."""
        return find_problems(self.policy, self.facts)

    def population(self) -> Population:
        """Return what is held now, for a scrape; asked from any thread."""
        return self.loop.call(self._look_for_population)()

    def _look_for_population(self) -> Callable[[], Population]:
        return partial(
            population,
            self.policy,
            list(self.facts.places.values()),
            dict(self.facts.roles),
            self.bundle_problems(),
            users=len(self.facts.users),
            revision=self.revision.value,
            revision_age_seconds=time.monotonic() - self.seen_at,
            ready=self.ready,
        )

    def apply(self, changes: Sequence[Change], epoch: str, reached: int) -> None:
        """Apply whole revisions, in order, on the loop; those already applied are skipped.

        Nothing is applied that does not follow what is held, nor to facts that are not trusted.

        Raises:
            whatever applying raised; the facts are half-applied then, and nothing is answered until they are reloaded.

        """
        new = [change for change in changes if self.revision.value < change.revision <= reached]
        if not self._trusted or epoch != self.revision.epoch or not new:
            return
        if new[0].revision != self.revision.value + 1:
            return  # older facts were put in place meanwhile; whoever applies looks whether it got there
        try:
            for change in new:
                self.facts.apply(change.kind, change.values)
                if change.revision > self._history.newest:
                    self._history.add(change.revision, change.digest)
        except Exception:
            self._distrust("a committed change could not be applied")
            _log.exception("a committed change could not be applied; loading anew")
            raise
        self.revision = Revision(value=reached, epoch=epoch, digest=new[-1].digest)
        self.token = self.revision.token
        self.watchers.applied(new, self.revision)
        self._arrivals.tell()

    def apply_own(self, changes: Sequence[Change], revision: Revision, mark: Mark) -> None:
        """Apply a write that was committed here, on the loop, as ``apply`` does, and know its history by it."""
        self.apply(changes, revision.epoch, revision.value)
        if self.token == revision.token:
            self.mark = mark

    def _heard(self, changes: Sequence[Change], reached: int, heard: Heard) -> None:
        """Apply what a poll found, and note until when everything that was committed is here."""
        newest = heard.newest
        self.apply(changes, newest.epoch, reached)
        self._clock.set(heard.seconds, sent_at=heard.clock_asked_at)
        if self._trusted and self.revision.epoch == newest.epoch and self.revision.value >= newest.value:
            self._whole(max(self.seen_at, heard.asked_at))
            self._history.forget(newest.pruned)
            self.mark = max(self.mark, heard.mark, key=lambda mark: mark.value)
        self._arrivals.tell()

    def _distrust(self, problem: str) -> None:
        """Answer nothing until everything has been loaded anew."""
        self._trusted, self._answers_until, self._problem = False, -math.inf, problem
        self.watchers.end(Unavailable())

    def _whole(self, asked_at: float) -> None:
        self.seen_at = asked_at
        self._answers_until = asked_at + self._stale_seconds

    def _swap(self, facts: Facts, history: History, had: Revision, heard: Heard) -> None:
        self._clock.set(heard.seconds, sent_at=heard.clock_asked_at)
        revision = heard.newest
        overtaken = revision.epoch == self.revision.epoch and had.value <= revision.value < self.revision.value
        if overtaken and self._trusted:
            return  # a later write was applied while this snapshot was being read
        self.facts, self.revision, self.mark, self._history = facts, revision, heard.mark, history
        self.token = revision.token
        self.watchers.loaded(revision)
        self._trusted = True
        self._whole(heard.asked_at)
        self._arrivals.tell()
