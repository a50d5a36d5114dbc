"""The order of all writes: one counter, what changed in each of its steps, and which database it belongs to."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    bindparam,
    cast,
    delete,
    false,
    func,
    insert,
    select,
    update,
)

from wsauthz.model.errors import InvalidArgument
from wsauthz.store.notices import CHANNEL
from wsauthz.store.tables import changes, revision

# Made once: a statement made anew costs as much as running it.
_STATE: Final = (
    revision.c.value,
    revision.c.epoch,
    revision.c.changes_pruned,
    revision.c.history,
    revision.c.history_value,
)
_CURRENT: Final = select(*_STATE)
_AUDIT: Final = (revision.c.audit_count, revision.c.audit_head, revision.c.audit_keys, revision.c.secret)
_ADVANCE: Final = (
    update(revision).values(value=revision.c.value + 1, history_value=revision.c.value + 1).returning(*_STATE, *_AUDIT)
)
# Chained by the database, because knowing the last link first would take a statement more.
_CHAINED: Final = revision.c.history + bindparam("nonce", type_=Text)
_ADVANCE_ON_SQLITE: Final = _ADVANCE.values(history=func.sha256(_CHAINED))
# Not now(): that is when the transaction began, which may be before the one it waited for ended.
# Who listens is told by the same statement, and hears it when this is committed.
_ADVANCE_AND_TELL: Final = _ADVANCE.values(
    history=func.encode(func.sha256(func.convert_to(_CHAINED, "UTF8")), "hex")
).returning(
    func.clock_timestamp().label("clock"),
    func.pg_notify(CHANNEL, revision.c.epoch + "." + cast(revision.c.value, Text)),
)
_RECORD: Final = insert(changes)
_OLDEST: Final = select(changes.c.revision, changes.c.created_at).order_by(changes.c.revision, changes.c.ordinal)
_MADE_AT: Final = select(changes.c.created_at).where(changes.c.ordinal == 0)
_DIGESTS: Final = (
    select(changes.c.revision, changes.c.digest).where(changes.c.ordinal == 0).order_by(changes.c.revision)
)
_IN_ORDER: Final = select(changes).order_by(changes.c.revision, changes.c.ordinal)

RELOAD: Final[tuple[str, Mapping[str, Any]]] = ("reload", {})
"""The change that stands for too many to be listed, such as an import: whoever follows loads everything anew."""
RETENTION: Final = timedelta(hours=24)
"""How long changes are kept at least."""

_TOKEN: Final = re.compile(r"([0-9a-f]{12})\.([0-9]{1,18})(?:\.([0-9a-f]{8}))?", re.ASCII)
_EPOCH_BYTES: Final = 6
_NONCE_BYTES: Final = 16
_DIGEST_LENGTH: Final = 8
_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEnd:
    """Where the chain of audit entries ends, and the keys it was signed with."""

    count: int
    head: str
    key_ids: tuple[str, ...]
    """Keys from outside the database that were used, in the order of their first use."""
    secret: bytes = field(repr=False)
    """The key in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A state of one database. Changes of revisions after ``pruned`` are kept; who stands before it has to reload."""

    value: int
    epoch: str
    digest: str = ""
    """Tells it from a revision of a lost history that had the same value; empty: the version before has written it."""
    pruned: int = 0
    audit_end: AuditEnd | None = field(default=None, repr=False, compare=False)
    """Of the revision that a transaction has just taken; good for one continuation of the chain."""

    @property
    def token(self) -> str:
        """What callers are given: ``<epoch>.<value>.<digest>``, or ``<epoch>.<value>`` without a digest."""
        return f"{self.notice}.{self.digest}" if self.digest else self.notice

    @property
    def notice(self) -> str:
        """What is notified of it: ``<epoch>.<value>``."""
        return f"{self.epoch}.{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A revision and the moment it was made, by which a history is known: another one has another moment there."""

    value: int = 0
    made_at: datetime | None = None
    """None: none of its changes are kept."""

    def may_be(self, there: "Mark") -> bool:
        """Tell whether the same revision there is of the same history; where nothing is kept of it, it may be."""
        return self.made_at == there.made_at or None in {self.made_at, there.made_at}


def parse_token(token: str, field: str = "revision") -> Revision:
    """Return the revision that a token, or a notification, names; ``field`` is where it stands in a request.

    Raises:
        InvalidArgument: it is malformed, so that no database can have made it.

    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise InvalidArgument(field, "must be a revision from an answer of this API, such as 0123456789ab.42.89abcdef")
    epoch, value, digest = found.groups(default="")
    return Revision(epoch=epoch, value=int(value), digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact as it is from a revision on; kind and values as ``Facts.apply`` takes them."""

    revision: int
    kind: str
    values: Mapping[str, Any]
    digest: str = ""
    """Of the revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What tells this database from every other one, and the secret that its signatures are made with."""

    epoch: str
    secret: bytes = field(repr=False)


def current(connection: Connection) -> Revision:
    """Return the revision that the transaction sees."""
    return _revision(connection.execute(_CURRENT).one())


def _revision(row: Any, audit_end: AuditEnd | None = None) -> Revision:
    digest = row.history[:_DIGEST_LENGTH] if row.history_value == row.value else ""
    return Revision(value=row.value, epoch=row.epoch, digest=digest, pruned=row.changes_pruned, audit_end=audit_end)


def advance(connection: Connection) -> tuple[Revision, datetime]:
    """Take the revision row and return the revision this transaction will be, and the database's time, in UTC.

    From here to the end of the transaction no other one writes.
    """
    nonce = {"nonce": secrets.token_hex(_NONCE_BYTES)}
    if connection.dialect.name == "sqlite":
        row = connection.execute(_ADVANCE_ON_SQLITE, nonce).one()
        now = datetime.now(UTC)
    else:
        row = connection.execute(_ADVANCE_AND_TELL, nonce).one()
        now = row.clock.astimezone(UTC)
    return _revision(row, audit_end(row)), now


def audit_end(row: Any) -> AuditEnd:
    """Return where the chain of audit entries ends, by the columns of the revision row."""
    return AuditEnd(
        count=row.audit_count,
        head=row.audit_head,
        key_ids=tuple(row.audit_keys.split(",")) if row.audit_keys else (),
        secret=bytes.fromhex(row.secret),
    )


def database_time(connection: Connection) -> datetime:
    """Return what the clock of the database says, in UTC; SQLite has none but the machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    clock: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return clock.astimezone(UTC)


def record(connection: Connection, at: Revision, changed: Sequence[tuple[str, Mapping[str, Any]]]) -> Mark:
    """Write down what a revision changes, in order: kinds and values of ``store.changes``; return its mark."""
    made_at = datetime.now(UTC)
    if changed:
        connection.execute(
            _RECORD,
            [
                {
                    "revision": at.value,
                    "ordinal": ordinal,
                    "kind": kind,
                    "values": values,
                    "created_at": made_at,
                    "digest": at.digest or None,
                }
                for ordinal, (kind, values) in enumerate(changed)
            ],
        )
    return Mark(value=at.value, made_at=made_at)


def changes_after(connection: Connection, value: int, limit: int) -> list[Change]:
    """Return the changes of the revisions after ``value``, in order: whole revisions, about ``limit`` changes.

    A single revision with more changes than ``limit`` is returned in full. What was pruned is not here: compare with
    ``Revision.pruned`` first.
    """
    rows = connection.execute(_IN_ORDER.where(changes.c.revision > value).limit(limit + 1)).mappings().all()
    if len(rows) > limit:
        cut = rows[limit]["revision"]
        whole = [row for row in rows if row["revision"] < cut]
        rows = whole or connection.execute(_IN_ORDER.where(changes.c.revision == cut)).mappings().all()
    return [
        Change(revision=row["revision"], kind=row["kind"], values=row["values"], digest=row["digest"] or "")
        for row in rows
    ]


def digests(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield every revision whose changes are kept, in order, and its digest; empty: it has none."""
    with connection.execute(_DIGESTS, execution_options={"yield_per": _BATCH}) as result:
        for some in result.partitions():
            yield from ((value, digest or "") for value, digest in some)


def mark(connection: Connection, value: int) -> Mark:
    """Return the mark of a revision as the transaction sees it."""
    made_at = connection.execute(_MADE_AT.where(changes.c.revision == value)).scalar()
    return Mark(value=value, made_at=made_at)


def renew_epoch(connection: Connection, have: Revision, seen: Mark) -> bool:
    """Give a database that is not the one that was seen a new epoch; False: others have done so.

    It went back behind ``have``, or has another history than that of ``seen``.
    """
    is_other: ColumnElement[bool] = false()
    if seen.made_at is not None:
        there = _MADE_AT.where(changes.c.revision == seen.value, changes.c.created_at != seen.made_at)
        is_other = there.exists()
    went_back = (revision.c.epoch == have.epoch) & ((revision.c.value < have.value) | is_other)
    renewed = update(revision).where(went_back).values(epoch=secrets.token_hex(_EPOCH_BYTES))
    return connection.execute(renewed).rowcount > 0


def new_epoch(connection: Connection) -> Revision:
    """Give the database a new epoch, so that every token from before is unknown; return the revision under it.

    Servers that run notice at their next poll, load everything anew and end their streams.
    """
    renewed = update(revision).values(epoch=secrets.token_hex(_EPOCH_BYTES)).returning(*_STATE)
    return _revision(connection.execute(renewed).one())


def prune_changes(connection: Connection, before: datetime, *, limit: int = 1_000) -> int:
    """Delete the oldest changes made before a time: whole revisions, about ``limit`` changes; return how many.

    The newest of these revisions stays: it was the current one at that time, and its token has been given since. Call
    it in a writing transaction of its own; it takes the revision row. 0: there are none, or another process is at it.
    """
    # Found by walking the primary key, so that no write pays for an index on the time.
    oldest = connection.execute(_OLDEST.limit(limit + 1)).all()
    old = list(dict.fromkeys(row.revision for row in takewhile(lambda row: row.created_at < before, oldest)))
    if len(old) == 1:
        following = connection.execute(_OLDEST.where(changes.c.revision > old[0]).limit(1)).first()
        if following is None or following.created_at >= before:
            return 0
    elif old:
        old.pop()
    if not old:
        return 0
    taken = update(revision).where(revision.c.changes_pruned < old[-1]).values(changes_pruned=old[-1])
    if not connection.execute(taken).rowcount:
        return 0
    return connection.execute(delete(changes).where(changes.c.revision <= old[-1])).rowcount


def installation(connection: Connection) -> Installation:
    """Return the epoch and the secret made when this database was."""
    row = connection.execute(select(revision.c.epoch, revision.c.secret)).one()
    return Installation(epoch=row.epoch, secret=bytes.fromhex(row.secret))
