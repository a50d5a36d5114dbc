"""The waiting room of management calls. Actors take turns, so the queue of one delays that actor alone."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from wsauthz.model.errors import TooManyRequests
from wsauthz.rpc.budget import WriteBudget

ActorKey = tuple[str, str]
"""The caller and the actor."""

_numbers: Final = count()


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One call in the room."""

    by: ActorKey
    writes: bool
    admitted: asyncio.Future[None]
    number: int = field(default_factory=lambda: next(_numbers))
    """In the order of arrival."""


@dataclass(slots=True)
class _Actor:
    """The calls of one actor: those that wait, oldest first, and the number of those that run."""

    reads: deque[Place] = field(default_factory=deque)
    writes: deque[Place] = field(default_factory=deque)
    running: int = 0

    @property
    def total(self) -> int:
        return self.waiting + self.running

    @property
    def waiting(self) -> int:
        return len(self.reads) + len(self.writes)

    def queue(self, place: Place) -> deque[Place]:
        return self.writes if place.writes else self.reads


class WaitingRoom:
    """Admits calls to ``threads`` threads, at most half of them for one actor and half for writes.

    It has room for ``most`` calls, the running ones included. When it is full, an actor with fewer calls takes the
    place of the newest waiting call of the actor with the most. It is used on the event loop only.
    """

    def __init__(self, budget: WriteBudget, *, threads: int, most: int) -> None:
        self._budget = budget
        self._threads = threads
        self._half: Final = max(1, threads // 2)
        self._most = most
        self._actors: dict[ActorKey, _Actor] = {}
        """In the order of their turns."""
        self._running = 0
        self._running_writes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """The number of calls in the room."""
        return sum(actor.total for actor in self._actors.values())

    async def enter(self, by: ActorKey, *, writes: bool) -> Place:
        """Return a place when the call may run; it has to ``leave`` then.

        Raises:
            TooManyRequests: there is no room, or another actor needed it.

        """
        if self.count >= self._most:
            self._make_room(by)
        place = Place(by=by, writes=writes, admitted=asyncio.get_running_loop().create_future())
        actor = self._actors.setdefault(by, _Actor())
        actor.queue(place).append(place)
        self._admit()
        try:
            await place.admitted
        except asyncio.CancelledError:
            self._give_up(place)
            raise
        return place

    def leave(self, place: Place) -> None:
        """Free the thread of a call that has ended."""
        actor = self._actors[place.by]
        actor.running -= 1
        self._running -= 1
        self._running_writes -= place.writes
        self._forget(place.by)
        self._admit()

    def _make_room(self, by: ActorKey) -> None:
        mine = self._actors[by].total if by in self._actors else 0
        longest, actor = max(self._actors.items(), key=lambda item: (item[1].waiting > 0, item[1].total))
        if longest == by or not actor.waiting or actor.total <= mine + 1:
            raise TooManyRequests
        newest = max((queue[-1] for queue in (actor.reads, actor.writes) if queue), key=lambda place: place.number)
        actor.queue(newest).remove(newest)
        if not newest.admitted.cancelled():
            newest.admitted.set_exception(TooManyRequests())
        self._forget(longest)

    def _admit(self) -> None:
        """Let run what may, one call of each actor in turn."""
        while self._running < self._threads and (place := self._next()) is not None:
            actor = self._actors.pop(place.by)
            self._actors[place.by] = actor  # the last one to have a turn again
            actor.queue(place).popleft()
            if place.admitted.cancelled():
                self._forget(place.by)
                continue
            actor.running += 1
            self._running += 1
            self._running_writes += place.writes
            if place.writes:
                self._budget.reserve()
            place.admitted.set_result(None)

    def _next(self) -> Place | None:
        """Return the call whose turn it is; of one actor the oldest that may run."""
        writes_may = self._running_writes < self._half and self._is_write_due()
        for actor in self._actors.values():
            if actor.running < self._half and (heads := list(_heads(actor, writes_may=writes_may))):
                return min(heads, key=lambda place: place.number)
        return None

    def _is_write_due(self) -> bool:
        """Tell whether the budget allows a write now; if one waits for that, look again when it does."""
        seconds = self._budget.wait_seconds()
        if seconds > 0 and self._timer is None and any(actor.writes for actor in self._actors.values()):
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look_again)
        return seconds <= 0

    def _look_again(self) -> None:
        self._timer = None
        self._admit()

    def _give_up(self, place: Place) -> None:
        """Take a cancelled call out of the room, whether it waits, was just admitted or had to make room."""
        if not place.admitted.cancelled():
            if place.admitted.exception() is None:
                self.leave(place)
            return
        actor = self._actors.get(place.by)
        if actor is not None and place in actor.queue(place):
            actor.queue(place).remove(place)
            self._forget(place.by)

    def _forget(self, by: ActorKey) -> None:
        if not self._actors[by].total:
            del self._actors[by]


def _heads(actor: _Actor, *, writes_may: bool) -> Iterator[Place]:
    if actor.reads:
        yield actor.reads[0]
    if actor.writes and writes_may:
        yield actor.writes[0]
