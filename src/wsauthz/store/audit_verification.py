"""Verifying the chain of audit entries, page by page, while others write."""

import hmac
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from wsauthz.store import audit_rows
from wsauthz.store.audit import NO_KEYS, mac_of
from wsauthz.store.audit_keys import OWN, AuditKeys
from wsauthz.store.audit_rows import Unreadable
from wsauthz.store.tables import audit_entries, revision

_PAGE: Final = 500
_AT_ONCE: Final = 50
_PAUSE_SECONDS: Final = 0.001
_TOKEN: Final = re.compile(r"(0|[1-9][0-9]{0,17})\.([0-9a-f]{64}|)")
_LAST: Final = select(revision.c.audit_count, revision.c.audit_head, revision.c.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the audit at some moment: the number of entries and the MAC of the last one."""

    count: int
    mac: str

    @property
    def token(self) -> str:
        """One word for both, ``<count>.<mac>``, as it is published."""
        return f"{self.count}.{self.mac}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How much of the audit is as it was written; ``problem`` is empty when all of it is."""

    head: Head
    """The last good entry."""
    problem: str
    reached: int
    """The count of the last published head that is in the chain; 0: none was given."""
    own: int
    """Entries that are signed with the key in the database."""
    unverifiable: int
    """Entries that are signed with other keys than those that were given."""
    unknown_keys: tuple[str, ...]
    """The ids of those keys."""

    @property
    def is_good(self) -> bool:
        """Whether every entry was verified and none is missing."""
        return not (self.problem or self.unverifiable)


def parse_head(token: str) -> Head:
    """Return the head that was published as a token.

    Raises:
        ValueError: it is none.

    """
    found = _TOKEN.fullmatch(token)
    if found is None or (found[1] == "0") != (found[2] == ""):
        raise ValueError("is not a published head: <count>.<64 hex digits>")
    return Head(count=int(found[1]), mac=found[2])


def head(connection: Connection) -> Head:
    """Return the end of the audit as the database has it."""
    last = connection.execute(select(revision.c.audit_count, revision.c.audit_head)).one()
    return Head(count=last.audit_count, mac=last.audit_head)


def verify(
    read: Callable[[], AbstractContextManager[Connection]],
    published: Sequence[Head] = (),
    keys: AuditKeys = NO_KEYS,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Verification:
    """Recompute the whole chain; about two minutes for a million entries, in short reads of their own.

    ``advance`` is called with the number of entries after every few of them; what it raises ends the verification.
    """
    chain = _Chain(published, keys)
    while True:
        with read() as connection:
            last = connection.execute(_LAST).one()
            query = audit_rows.rows(connection).order_by(audit_entries.c.number).limit(_PAGE)
            if chain.count:
                query = query.where(audit_entries.c.number > chain.count)
            page = connection.execute(query).mappings().all()
        try:
            secret = bytes.fromhex(last.secret)
        except (ValueError, TypeError):
            return chain.result("the key in the database cannot be read")
        for start in range(0, len(page), _AT_ONCE):
            problem = chain.extend(page[start : start + _AT_ONCE], secret)
            if problem:
                return chain.result(problem)
            advance(chain.count)
            time.sleep(_PAUSE_SECONDS)  # while it computes, everybody else waits for the interpreter
        if len(page) < _PAGE:
            if (chain.count, chain.mac) != (last.audit_count, last.audit_head):
                return chain.result(f"{last.audit_count} entries were written, {chain.count} are here")
            return chain.result(chain.missing())


class _Chain:
    """The entries that were verified so far."""

    def __init__(self, published: Sequence[Head], keys: AuditKeys) -> None:
        self.count = 0
        self.mac = ""
        self._keys = keys
        self._used = {OWN: 0}
        """Keys in the order of their first use, and the last entry that is signed with each."""
        self._by_key: Counter[str] = Counter()
        self._published = {head.count: head.mac for head in published}
        self._last_published = max(self._published, default=0)

    def extend(self, page: Sequence[Any], secret: bytes) -> str:
        """Verify the next entries and return the first problem; empty: none."""
        for row in page:
            problem = self._add(row, secret)
            if problem:
                return problem
        return ""

    def _add(self, row: Mapping[str, Any], secret: bytes) -> str:
        number = self.count + 1
        try:
            entry = audit_rows.values(row)
        except Unreadable as unreadable:
            return f"entry {number} is not as it was written: {unreadable}"
        key_id, mac = entry["key_id"], entry["mac"]
        if misplaced := self._misplaced(entry["number"], key_id):
            return misplaced
        key = self._keys.find(key_id, secret)
        if key is not None and not hmac.compare_digest(mac_of(key, self.mac, entry).encode(), mac.encode()):
            return f"entry {number} is not as it was written"
        if self._published.get(number, mac) != mac:
            return f"entry {number} is not the one whose head was published"
        self.count, self.mac = number, mac
        self._used[key_id] = number
        self._by_key[key_id] += 1
        return ""

    def _misplaced(self, found: int, key_id: str) -> str:
        """Return why an entry with this number and key cannot be the next one; empty: it can."""
        number = self.count + 1
        if found > number:
            return f"entry {number} is missing"
        if found < number:
            return f"the number {found} is not one that servers write"
        if key_id in self._used and key_id != next(reversed(self._used)):
            last = self._used[key_id]
            return f"entry {number} is signed with {_named(key_id)}, which was replaced after entry {last}"
        return ""

    def missing(self) -> str:
        """Return what the end of the chain lacks; empty: nothing."""
        if self._last_published > self.count:
            return f"{self._last_published} entries were published, {self.count} are here: the end was cut off"
        if self.count and self._keys.ids and len(self._used) == 1:
            return "no entry is signed with a key from outside, though there is one"
        return ""

    def result(self, problem: str) -> Verification:
        """Return what was found, with the problem of the next entry."""
        reached = max((count for count in self._published if count <= self.count), default=0)
        unknown = tuple(key_id for key_id in self._by_key if key_id not in (OWN, *self._keys.ids))
        return Verification(
            head=Head(count=self.count, mac=self.mac),
            problem=problem,
            reached=reached,
            own=self._by_key[OWN],
            unverifiable=sum(self._by_key[key_id] for key_id in unknown),
            unknown_keys=unknown,
        )


def _named(key_id: str) -> str:
    return f"the key {key_id}" if key_id else "the key in the database"
