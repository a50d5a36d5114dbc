"""The budget of writes: what they may take of the interpreter, and of that what refused ones may .

A write costs about as much of the interpreter as seven checks, and only one thread at a time has the interpreter.
"""

import time
from typing import Final

from wsauthz.model.errors import TooManyRefusals
from wsauthz.tenancy.transaction import Caller

_BURST_SECONDS: Final = 0.25
"""Of the interpreter; a few hundred writes that come after a pause wait for nothing."""
_FIRST_GUESS_SECONDS: Final = 0.001
_WEIGHT: Final = 0.05
"""How much the newest write counts in what the next one is expected to cost."""
FREE_REFUSALS: Final = 100
REFUSALS_PER_SECOND: Final = 10.0
_MOST_KEYS: Final = 10_000

_Key = tuple[str, str, str]


class WriteBudget:
    """The pace at which writes may begin; it is used on the event loop only.

    Each write reserves what one is expected to cost, and what it cost in the end is settled afterwards.
    """

    def __init__(self, share: float) -> None:
        """Give writes a ``share`` of one core; 1 and more: no limit."""
        self._share = share
        self._expected = _FIRST_GUESS_SECONDS
        self._paid_until = time.monotonic()
        """When everything that began so far will have been paid for."""

    def wait_seconds(self) -> float:
        """Return in how many seconds the next write may begin; 0 and less: now."""
        return self._paid_until - time.monotonic() if self._share < 1 else 0.0

    def reserve(self) -> None:
        """Reserve what a write that begins now is expected to cost."""
        begins = max(self._paid_until, time.monotonic() - _BURST_SECONDS / self._share)
        self._paid_until = begins + self._expected / self._share

    def settle(self, spent: float) -> None:
        """Charge what a write has cost instead of what was expected, in seconds of its thread's processor time."""
        self._paid_until += (spent - self._expected) / self._share
        self._expected += (spent - self._expected) * _WEIGHT


class RefusedWrites:
    """Keeps those away from the lock whose writes are refused again and again; it is used on the event loop only.

    A refusal that only the transaction can give costs as much as a write, and nobody needs a right to get it.
    """

    def __init__(self) -> None:
        self._paid_until: dict[_Key, float] = {}

    def check(self, by: Caller) -> None:
        """Return if this caller may call this method for this actor.

        Raises:
            TooManyRefusals: too many of their calls were refused lately.

        """
        now = time.monotonic()
        behind = self._paid_until.get(by.limited_by, now) - now
        if behind > 0:
            raise TooManyRefusals(behind)

    def refused(self, by: Caller) -> None:
        """Count a refusal that the transaction gave."""
        key, now = by.limited_by, time.monotonic()
        if key not in self._paid_until and len(self._paid_until) >= _MOST_KEYS:
            self._forget(now)
        free_since = now - FREE_REFUSALS / REFUSALS_PER_SECOND
        self._paid_until[key] = max(self._paid_until.get(key, free_since), free_since) + 1 / REFUSALS_PER_SECOND

    def _forget(self, now: float) -> None:
        """Forget those who may try again anyway; if that is not enough, everybody."""
        self._paid_until = {key: until for key, until in self._paid_until.items() if until > now}
        if len(self._paid_until) >= _MOST_KEYS:
            self._paid_until.clear()
