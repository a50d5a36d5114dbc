"""Guessing is slow: codes, tokens and addresses that lead nowhere are counted; after too many an actor has to wait."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from wsauthz.model.errors import InvalidCode, InvitationNotFound, TooManyAttempts, WorkspaceNotFound

MOST: Final = 10
"""Failures that an actor has free in the time below (product.md section 4); per process."""
SECONDS: Final = 300.0
_MOST_ACTORS: Final = 10_000


@dataclass(slots=True)
class Attempt:
    """One attempt, and whether it led nowhere without an error."""

    leads_nowhere: bool = False


class Attempts:
    """Counts the failures of each actor. It is used by several worker threads at once."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[float]] = {}
        self._lock = Lock()

    @contextmanager
    def one_by(self, actor: str) -> Iterator[Attempt]:
        """Let one attempt be made inside the block; only one that leads nowhere is counted.

        It is counted before it is made and forgiven afterwards, so that many at once are no way around the limit.
        Where leading nowhere is no error, the block says so of the attempt that it is given.

        Raises:
            TooManyAttempts: the actor has had too many.

        """
        at, attempt = self._count(actor), Attempt()
        try:
            yield attempt
        except (InvalidCode, InvitationNotFound, WorkspaceNotFound):
            raise
        except BaseException:
            self._forgive(actor, at)
            raise
        else:
            if not attempt.leads_nowhere:
                self._forgive(actor, at)

    def _count(self, actor: str) -> float:
        now = time.monotonic()
        with self._lock:
            if actor not in self._failures and len(self._failures) >= _MOST_ACTORS:
                self._drop_old(now)
            failures = self._failures.setdefault(actor, deque())
            while failures and failures[0] <= now - SECONDS:
                failures.popleft()
            if len(failures) >= MOST:
                raise TooManyAttempts(failures[0] + SECONDS - now)
            failures.append(now)
            return now

    def _forgive(self, actor: str, at: float) -> None:
        with self._lock:
            failures = self._failures.get(actor)
            if failures is not None and at in failures:
                failures.remove(at)
                if not failures:
                    del self._failures[actor]

    def _drop_old(self, now: float) -> None:
        """Forget whoever is under no limit any more; if that is not enough, whoever began first."""
        for actor in [actor for actor, failures in self._failures.items() if failures[-1] <= now - SECONDS]:
            del self._failures[actor]
        while len(self._failures) >= _MOST_ACTORS:
            del self._failures[next(iter(self._failures))]
