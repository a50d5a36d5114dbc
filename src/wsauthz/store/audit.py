"""Who did what, written in the transaction that does it, as a chain that shows when somebody edits it.

Each entry carries a MAC of itself and of the entry before, with a key from outside (``audit_keys``) or with the one in
the database. Number and MAC of the last one are kept in the revision row. ``audit_verification`` recomputes the chain.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import Connection, insert, select, update

from wsauthz.model.places import PlaceKey
from wsauthz.store import audit_rows, rows
from wsauthz.store.audit_keys import OWN, AuditKeys
from wsauthz.store.audit_rows import Unreadable
from wsauthz.store.revisions import AuditEnd, Revision, audit_end
from wsauthz.store.tables import audit_entries, revision

_LAST: Final = select(revision.c.audit_count, revision.c.audit_head, revision.c.audit_keys, revision.c.secret)
NO_KEYS: Final = AuditKeys()


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
    key_id: str = ""
    """Which key it is signed with; empty: the one in the database."""
    problem: str = ""
    """Which part of the entry cannot be read, because somebody has spoiled it; the rest of it is blank then."""

    @property
    def place(self) -> PlaceKey:
        """The place it speaks of."""
        return cast("PlaceKey", (self.place_kind, self.place_id))


def append(
    connection: Connection,
    entries: Sequence[AuditEntry],
    at: Revision | None,
    *,
    end: AuditEnd | None = None,
    keys: AuditKeys = NO_KEYS,
) -> None:
    """Write entries down, in order, in the transaction of what they speak of; None: it changed nothing.

    ``end`` is where the chain ends, if that is known since the transaction took its revision.

    Raises:
        AuditKeyMissing: see ``AuditKeys.signing``.

    """
    at_end = end or end_of(connection)
    head = at_end.head
    key_id, secret = keys.signing(at_end)
    written = []
    for number, entry in enumerate(entries, at_end.count + 1):
        row = {"number": number, "revision": None if at is None else at.value, **rows.values_of(entry)}
        row["key_id"] = key_id
        head = mac_of(secret, head, row)
        written.append({**row, "mac": head})
    if written:
        connection.execute(insert(audit_entries), written)
        now: dict[str, Any] = {"audit_count": written[-1]["number"], "audit_head": head}
        if key_id not in (OWN, *at_end.key_ids):
            now["audit_keys"] = ",".join((*at_end.key_ids, key_id))
        connection.execute(update(revision), now)


def check_keys(connection: Connection, keys: AuditKeys) -> None:
    """Return if the next entry can be signed.

    Raises:
        AuditKeyMissing: see ``AuditKeys.signing``.

    """
    keys.signing(audit_end(connection.execute(_LAST).one()))


def end_of(connection: Connection) -> AuditEnd:
    """Return where the chain ends, and keep others from continuing it until the transaction ends."""
    return audit_end(connection.execute(_LAST.with_for_update()).one())


def in_place(connection: Connection, place: PlaceKey, *, before: int | None, limit: int) -> list[ListedEntry]:
    """Return up to ``limit`` entries of exactly this place, the newest first; ``before``: with smaller numbers only."""
    columns = audit_entries.c
    query = audit_rows.rows(connection).where(columns.place_kind == place[0], columns.place_id == place[1])
    if before is not None:
        query = query.where(columns.number < before)
    found = connection.execute(query.order_by(columns.number.desc()).limit(limit)).mappings()
    return [_listed(cast("Mapping[str, Any]", row), place) for row in found]


def _listed(row: Mapping[str, Any], place: PlaceKey) -> ListedEntry:
    try:
        values = audit_rows.values(row)
    except Unreadable as unreadable:
        number = audit_rows.number_of(row)
        return ListedEntry(number=number, place_kind=place[0], place_id=place[1], problem=str(unreadable), **_BLANK)
    return ListedEntry(**{name: values[name] for name in _LISTED})


_SIGNED: Final = ("number", "revision", *(field.name for field in fields(AuditEntry)))
_LISTED: Final = ("number", "key_id", *(field.name for field in fields(AuditEntry)))
_BLANK: Final[Mapping[str, Any]] = {
    "created_at": datetime.fromtimestamp(0, UTC),
    **dict.fromkeys(("caller", "actor", "method", "target_kind", "target_id", "refusal", "request_id"), ""),
    **dict.fromkeys(("before", "after"), MappingProxyType({})),
}
"""What is listed of an entry that cannot be read."""


def mac_of(secret: bytes, head: str, row: Mapping[str, Any]) -> str:
    """Return the MAC of an entry, by its columns, that follows the one with the MAC ``head``."""
    signed = {name: row[name] for name in _SIGNED}
    if row["key_id"]:  # entries under the database's own key are signed as they were before there were others
        signed["key_id"] = row["key_id"]
    text = json.dumps([head, signed], sort_keys=True, default=_plain)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> str:
    """Return a time as text: the one thing in an entry that JSON has no form for."""
    return cast("datetime", value).isoformat(timespec="microseconds")
