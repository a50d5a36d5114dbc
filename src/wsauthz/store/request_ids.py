"""The answers to writes that named themselves, so that a retry gets the first answer and has no second effect."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, tuple_

from wsauthz.store.tables import request_ids

RETENTION: Final = timedelta(hours=24)
"""How long an answer is given again; after that the id is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What one write is known by."""

    caller: str
    actor: str
    method: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """What was answered to a request, and a hash of its body: another body under the same id is a mistake."""

    body_hash: str
    answer: bytes


def find(connection: Connection, key: RequestKey, *, now: datetime) -> GivenAnswer | None:
    """Return the answer that was given to the request in the last 24 hours; None: none was."""
    row = connection.execute(
        select(request_ids.c.body_hash, request_ids.c.answer).where(
            _is(key), request_ids.c.created_at > now - RETENTION
        )
    ).one_or_none()
    return None if row is None else GivenAnswer(body_hash=row.body_hash, answer=row.answer)


def add(connection: Connection, key: RequestKey, given: GivenAnswer, *, now: datetime) -> None:
    """Store the answer, in the transaction of the write.

    Raises:
        IdTaken: the request was answered before; ``find`` was not asked under the same lock.

    """
    connection.execute(delete(request_ids).where(_is(key), request_ids.c.created_at <= now - RETENTION))
    connection.execute(insert(request_ids).values(**asdict(key), **asdict(given), created_at=now))


def prune(connection: Connection, *, now: datetime, limit: int = 1_000) -> int:
    """Delete the oldest answers that are not given again any more, up to ``limit``, and return how many."""
    table = request_ids
    key = tuple_(*table.primary_key.columns)
    old = select(*table.primary_key.columns).where(table.c.created_at <= now - RETENTION)
    return connection.execute(delete(table).where(key.in_(old.order_by(table.c.created_at).limit(limit)))).rowcount


def _is(key: RequestKey) -> ColumnElement[bool]:
    return and_(*(request_ids.c[name] == value for name, value in asdict(key).items()))
