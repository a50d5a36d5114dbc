"""Telling those who watch what was applied, revision by revision: each exactly once, in order, none left out.

The replica hands over every revision in the step that applies it; what a watcher has missed - what came before it, or
while facts were loaded anew - is read from the table of changes. A watcher keeps its position, so the two are joined
without a gap and without a duplicate wherever they meet.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from wsauthz.model.errors import (
    ConsumerTooSlow,
    Refused,
    RevisionPruned,
    RevisionUnknown,
    TooManyStreams,
    Unavailable,
)
from wsauthz.store import revisions
from wsauthz.store.database import Database
from wsauthz.store.revisions import Change, Revision

MOST_STREAMS: Final = 100
"""Watchers of one process at once."""
MOST_WAITING_CHANGES: Final = 20_000
"""Changes that wait for one watcher to take them; a revision counts as one more. Above what is applied in one step."""
HEARTBEAT_SECONDS: Final = 10.0
"""How long a watcher hears nothing before it is told that there is nothing."""
_PAGE: Final = 1_000
"""Changes read from the table at once, about."""


class Told(NamedTuple):
    """One revision, with what changed in it, in order."""

    revision: int
    changes: Sequence[Change]


class Policy(NamedTuple):
    """A version of the bundle, in force after a revision."""

    version: str
    after: int


class Watcher:
    """One stream's place in the order of revisions, and what waits for it; to be used on the loop."""

    def __init__(self, position: int, reached: int, policy: Policy) -> None:
        self.position = position
        """The newest revision that was told."""
        self._reached = reached
        """The newest revision there is."""
        self._waiting: deque[Told] = deque()
        self._policies = deque([policy])
        """Apart from the revisions, because no table has them: they are kept when revisions are read from the table."""
        self._size = 0
        self._is_live = False
        self._news = asyncio.Event()
        self._end: Refused | None = None

    def hear(self, told: Sequence[Told], reached: int) -> None:
        """Take in what was applied; whoever takes nothing off meanwhile is cut off when too much waits."""
        if self._end is not None:
            return
        self._reached = max(self._reached, reached)
        self._waiting.extend(told)
        self._size += sum(map(_size, told))
        if self._size > MOST_WAITING_CHANGES:
            self._forget()  # whoever still reads what came before finds it in the table, too
            if self._is_live:
                self._end = ConsumerTooSlow()
        self._news.set()

    def hear_policy(self, policy: Policy) -> None:
        """Take in that another version of the bundle is in force."""
        self._policies.append(policy)
        if len(self._policies) > MOST_WAITING_CHANGES:
            self.end(ConsumerTooSlow())
        self._news.set()

    def end(self, why: Refused) -> None:
        """Tell no more, but why."""
        self._end = self._end or why
        self._forget()
        self._news.set()

    def take_policy(self) -> Policy | None:
        """Return the next version of the bundle, once everything before it was told; None: there is none.

        Raises:
            whatever the watcher was ended with.

        """
        self.check()
        is_next = bool(self._policies) and self._policies[0].after <= self.position
        return self._policies.popleft() if is_next else None

    def take(self) -> Told | None:
        """Return the next revision if it is here; None: ``missing`` says which are not, or there is none yet.

        Raises:
            whatever the watcher was ended with.

        """
        while self._waiting and self._waiting[0].revision <= self.position:
            self._size -= _size(self._waiting.popleft())
        if not self._waiting or self._waiting[0].revision != self.position + 1:
            self.check()
            return None
        told = self._waiting.popleft()
        self._size -= _size(told)
        return self.passed(told)

    def passed(self, told: Told) -> Told:
        """Return the revision, which is the next, and move on to it.

        Raises:
            whatever the watcher was ended with.

        """
        self.check()
        self.position = told.revision
        return told

    def check(self) -> None:
        """Return if there is more to tell.

        Raises:
            whatever the watcher was ended with.

        """
        if self._end is not None:
            raise self._end

    def missing(self) -> int:
        """Return up to which revision the table has to be read; the position: nothing is missing."""
        through = self._waiting[0].revision - 1 if self._waiting else self._reached
        self._is_live = through <= self.position
        return max(through, self.position)

    async def news(self, seconds: float) -> bool:
        """Wait until there is something to take; False: there was nothing so long."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        return self._news.is_set()

    def _forget(self) -> None:
        self._waiting.clear()
        self._size = 0


class Watchers:
    """All watchers of one replica."""

    def __init__(self, database: Database, policy_version: str) -> None:
        self._database = database
        self._policy_version = policy_version
        self._watchers: set[Watcher] = set()
        self._now = Revision(value=0, epoch="")
        self._closed = False
        # One, so that any number of watchers that start over leave connections and processor to everybody else.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="watch")

    @property
    def count(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def applied(self, changes: Sequence[Change], now: Revision) -> None:
        """Tell what has been applied, whole revisions in order, up to ``now``; on the loop, in the step that did it."""
        self._now = now
        if self._watchers:
            told = _told(changes)
            for watcher in self._watchers:
                watcher.hear(told, now.value)

    def loaded(self, now: Revision) -> None:
        """Tell that facts were loaded anew; of another database, or a restored one, there is nothing to go on with."""
        if now.epoch != self._now.epoch:
            self.end(RevisionUnknown())
        self._now = now
        for watcher in self._watchers:
            watcher.hear((), now.value)

    def policy_put(self, version: str) -> None:
        """Tell that another version of the bundle is in force; on the loop, in the step that put it in force."""
        self._policy_version = version
        for watcher in self._watchers:
            watcher.hear_policy(Policy(version, self._now.value))

    def end(self, why: Refused) -> None:
        """End everybody's stream."""
        for watcher in self._watchers:
            watcher.end(why)

    def stop(self) -> None:
        """End everybody's stream, and take nobody in any more: clients go on somewhere else."""
        self._closed = True
        self.end(Unavailable("This server is stopping; go on with another one"))

    def close(self) -> None:
        """Wait for what is being read; blocks."""
        self._reader.shutdown()

    async def watch(self, since: int) -> AsyncGenerator[Told | Policy | None]:
        """Yield the revisions after ``since``, without end; None now and then, while there is nothing to tell.

        The first is the version of the bundle in force, the second is None: the watcher is there. Another version comes
        after the revisions that were applied before it was put in force, and before those that were applied later.

        Raises:
            TooManyStreams: as many watch as may. ConsumerTooSlow: what is yielded is not taken fast enough.
            RevisionPruned: what comes next is not kept any more. RevisionUnknown: the database was replaced.
            Unavailable: the server stops, cannot trust what it holds, or the database does not answer.

        """
        with self._watcher(since) as watcher:
            ahead = deque(await self._read(watcher, watcher.missing()))
            yield watcher.take_policy()
            yield None
            while True:
                if (policy := watcher.take_policy()) is not None:
                    yield policy
                elif ahead:
                    yield watcher.passed(ahead.popleft())
                elif (live := watcher.take()) is not None:
                    yield live
                elif (through := watcher.missing()) > watcher.position:
                    ahead.extend(await self._read(watcher, through))
                elif not await watcher.news(HEARTBEAT_SECONDS):
                    yield None

    @contextlib.contextmanager
    def _watcher(self, since: int) -> Iterator[Watcher]:
        if self._closed:
            raise Unavailable
        if len(self._watchers) >= MOST_STREAMS:
            raise TooManyStreams
        watcher = Watcher(since, self._now.value, Policy(self._policy_version, since))
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def _read(self, watcher: Watcher, through: int) -> list[Told]:
        """Return the next revisions after the watcher's position, up to ``through``, from the table."""
        if through <= watcher.position:
            return []
        after = Revision(value=watcher.position, epoch=self._now.epoch)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, kept, self._database, after, through)


def kept(database: Database, after: Revision, through: int) -> list[Told]:
    """Return revisions after one, up to ``through``, as the table of changes has them: the next of them, at least one.

    Raises:
        RevisionPruned: the next is not kept any more. RevisionUnknown: the database has another history by now.
        Unavailable: it does not answer.

    """
    with database.read() as connection:
        newest = revisions.current(connection)
        changes = revisions.changes_after(connection, after.value, _PAGE)
    if newest.epoch != after.epoch or newest.value < through:
        raise RevisionUnknown
    found = [told for told in _told(changes) if told.revision <= through]
    is_whole = [told.revision for told in found] == list(range(after.value + 1, after.value + 1 + len(found)))
    if newest.pruned > after.value or not found or not is_whole:  # every revision has a change (docs/decisions/0008)
        raise RevisionPruned
    return found


def _told(changes: Sequence[Change]) -> list[Told]:
    return [Told(revision, list(of)) for revision, of in groupby(changes, attrgetter("revision"))]


def _size(told: Told) -> int:
    return len(told.changes) + 1
