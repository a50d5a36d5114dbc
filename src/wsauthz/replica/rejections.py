"""The limit of audit entries about rejected attempts; attempts beyond it are counted."""

import time
from dataclasses import dataclass, replace
from typing import Final

from wsauthz.store.audit import AuditEntry

PER_MINUTE: Final = 10
"""Entries of one caller, actor and method; further attempts are counted in one more entry when the minute is over."""
PER_CALLER: Final = 600
"""Entries of one caller a minute, so that invented actors cannot fill the audit; the rest is counted by method."""
MOST_PENDING: Final = 10_000
"""Entries that wait for the database; further attempts are counted by method."""
SEVERAL_REASONS: Final = "SEVERAL_REASONS"
_MINUTE: Final = 60.0

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Window:
    """One minute of one key. ``rest`` stands for every attempt beyond the limit."""

    ends_at: float
    written: int = 0
    rest: AuditEntry | None = None


class Rejections:
    """The entries to be written, in order. No attempt is forgotten: each is in an entry of its own or in a count."""

    def __init__(self) -> None:
        self.pending: list[AuditEntry] = []
        self._windows: dict[_Key, _Window] = {}
        """In the order of their ends, because all of them are equally long."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is pending or counted."""
        return not (self.pending or self._windows)

    def add(self, entry: AuditEntry) -> None:
        """Make an attempt pending, or count it."""
        self.close_windows()
        of_caller = self._window((entry.caller, "", ""))
        has_room = of_caller.written < PER_CALLER and len(self.pending) < MOST_PENDING
        key = (entry.caller, entry.actor, entry.method)
        if not has_room and key not in self._windows:
            key = (entry.caller, "", entry.method)
        window = self._window(key)
        if has_room and window.written < PER_MINUTE:
            window.written += 1
            of_caller.written += 1
            self.pending.append(entry)
        else:
            window.rest = entry if window.rest is None else _merged(window.rest, entry)

    def close_windows(self, *, all_of_them: bool = False) -> None:
        """Make the counts of the minutes that are over pending; with ``all_of_them``, of the present ones as well."""
        now = time.monotonic()
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.ends_at > now and not all_of_them:
                return
            del self._windows[key]
            if window.rest is None:
                continue
            if len(self.pending) < MOST_PENDING or all_of_them:
                self.pending.append(window.rest)
            else:
                self._windows[key] = _Window(now + _MINUTE, PER_MINUTE, window.rest)

    def _window(self, key: _Key) -> _Window:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(time.monotonic() + _MINUTE)
        return window


def _merged(rest: AuditEntry, entry: AuditEntry) -> AuditEntry:
    """Return one entry for both, at their place and target if these are the same, else at the platform."""
    both: dict[str, object] = {"attempts": rest.attempts + entry.attempts}
    if rest.actor != entry.actor:
        both["actor"] = ""
    if rest.refusal != entry.refusal:
        both["refusal"] = SEVERAL_REASONS
    if rest.request_id != entry.request_id:
        both["request_id"] = ""
    if (rest.target_kind, rest.target_id) != (entry.target_kind, entry.target_id):
        both |= {"target_kind": "", "target_id": ""}
    if (rest.place_kind, rest.place_id) != (entry.place_kind, entry.place_id):
        both |= {"place_kind": "platform", "place_id": ""}
    return replace(rest, **both)  # type: ignore[arg-type]  # the names are fields
