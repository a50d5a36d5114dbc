"""Who did what, written in the transaction that does it, as a chain that shows when somebody edits it.

Each entry carries a MAC, with the installation's secret, of itself and of the entry before. Number and MAC of the last
one are kept in the revision row, so that cutting the end off shows, too.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Connection, insert, select, update

from wsauthz.model.places import PlaceKey
from wsauthz.store import rows
from wsauthz.store.revisions import AuditEnd, Revision
from wsauthz.store.tables import audit_entries, revision

_BATCH: Final = 1000
_AT_ONCE: Final = 50
_PAUSE_SECONDS: Final = 0.001
_LAST: Final = select(revision.c.audit_count, revision.c.audit_head, revision.c.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done, or refused.

    ``before`` and ``after`` hold ids, enums, numbers and flags only - never a name, an address or a secret -, and what
    JSON can hold. ``refusal`` is the reason of a refused attempt, ``attempts`` how many of those the entry stands for.
    """

    created_at: datetime
    caller: str
    actor: str
    method: str
    target_kind: str
    target_id: str
    place_kind: str
    place_id: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    refusal: str = ""
    attempts: int = 1
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEntry(AuditEntry):
    """An entry as it was written down."""

    number: int
    """Counts from 1 without a gap."""

    @property
    def place(self) -> PlaceKey:
        """The place it speaks of."""
        return cast("PlaceKey", (self.place_kind, self.place_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How much of the audit is as it was written; ``problem`` is empty when all of it is.

    ``head`` is the MAC of the last good entry: whoever noted one earlier can tell a rewritten chain from a longer one.
    """

    count: int
    head: str
    problem: str


def append(
    connection: Connection, entries: Sequence[AuditEntry], at: Revision | None, *, end: AuditEnd | None = None
) -> None:
    """Write entries down, in order, in the transaction of what they speak of; None: it changed nothing.

    ``end`` is where the chain ends, if that is known since the transaction took its revision.
    """
    at_end = end or end_of(connection)
    head = at_end.head
    written = []
    for number, entry in enumerate(entries, at_end.count + 1):
        row = {"number": number, "revision": None if at is None else at.value, **rows.values_of(entry)}
        head = _mac(at_end.secret, head, row)
        written.append({**row, "mac": head})
    if written:
        connection.execute(insert(audit_entries), written)
        connection.execute(update(revision), {"audit_count": written[-1]["number"], "audit_head": head})


def end_of(connection: Connection) -> AuditEnd:
    """Return where the chain ends, and keep others from continuing it until the transaction ends."""
    last = connection.execute(_LAST.with_for_update()).one()
    return AuditEnd(count=last.audit_count, head=last.audit_head, secret=bytes.fromhex(last.secret))


def in_place(connection: Connection, place: PlaceKey, *, before: int | None, limit: int) -> list[ListedEntry]:
    """Return up to ``limit`` entries of exactly this place, the newest first; ``before``: with smaller numbers only."""
    query = _LISTED.where(audit_entries.c.place_kind == place[0], audit_entries.c.place_id == place[1])
    if before is not None:
        query = query.where(audit_entries.c.number < before)
    return rows.find_all(connection, ListedEntry, query.order_by(audit_entries.c.number.desc()).limit(limit))


def verify(connection: Connection) -> Verification:
    """Recompute the whole chain; takes about a minute for a million entries, and little memory."""
    said = connection.execute(_LAST).one()
    secret, head, count = bytes.fromhex(said.secret), "", 0
    in_order = select(audit_entries).order_by(audit_entries.c.number)
    with connection.execute(in_order, execution_options={"yield_per": _BATCH}) as result:
        for row in result.mappings():
            if row["number"] != count + 1:
                return Verification(count=count, head=head, problem=f"entry {count + 1} is missing")
            mac = _mac(secret, head, cast("Mapping[str, Any]", row))
            if not hmac.compare_digest(mac, row["mac"]):
                return Verification(count=count, head=head, problem=f"entry {count + 1} is not as it was written")
            head, count = mac, count + 1
            if count % _AT_ONCE == 0:
                time.sleep(_PAUSE_SECONDS)  # while it computes, everybody else waits for the interpreter
    problem = ""
    if (count, head) != (said.audit_count, said.audit_head):
        problem = f"{said.audit_count} entries were written, {count} are here"
    return Verification(count=count, head=head, problem=problem)


_LISTED: Final = select(*(audit_entries.c[field.name] for field in fields(ListedEntry)))
_SIGNED: Final = ("number", "revision", *(field.name for field in fields(AuditEntry)))


def _mac(secret: bytes, head: str, row: Mapping[str, Any]) -> str:
    text = json.dumps([head, {name: row[name] for name in _SIGNED}], sort_keys=True, default=_plain)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> str:
    """Return a time as text: the one thing in an entry that JSON has no form for."""
    return cast("datetime", value).isoformat(timespec="microseconds")
