"""Refused attempts to write are audited, but nobody can fill the audit with them (reliability.md section 1)."""

import time
from dataclasses import dataclass
from typing import Final

from wsauthz.tenancy.transaction import Caller

PER_MINUTE: Final = 10
"""Entries for one (caller, actor, method); the rest is counted and stands in the next entry."""
_MINUTE: Final = 60.0
_MOST_KEYS: Final = 10_000


@dataclass(slots=True)
class _Window:
    began_at: float
    written: int = 0
    suppressed: int = 0


class RefusalBudget:
    """Says of each refused attempt whether it is to be written down, and for how many it stands."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def spend(self, by: Caller) -> int:
        """Return for how many attempts an entry has to be written now; 0: none is."""
        key = by.limited_by
        now = time.monotonic()
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= _MOST_KEYS:
                self._windows.clear()
            window = self._windows[key] = _Window(now)
        if now - window.began_at >= _MINUTE:
            window.began_at, window.written = now, 0
        if window.written >= PER_MINUTE:
            window.suppressed += 1
            return 0
        window.written += 1
        attempts, window.suppressed = window.suppressed + 1, 0
        return attempts

    def put_off(self, by: Caller, attempts: int) -> None:
        """Have attempts that could not be written down stand in the next entry."""
        window = self._windows.get(by.limited_by)
        if window is not None:
            window.suppressed += attempts
