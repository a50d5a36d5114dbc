"""One write: lock the revision row, catch up, work on exactly that state, record, commit, apply (reliability.md 1).

While the row is held no other transaction can commit, so the facts cannot change and the work may look at them from its
own thread (docs/decisions/0001).
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from wsauthz.model.errors import Refused, TooFarBehind
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.replica.hearing import needs_reload
from wsauthz.replica.replica import Replica
from wsauthz.store import audit, revisions
from wsauthz.store.database import Connection
from wsauthz.store.revisions import Change, Mark, Revision
from wsauthz.tenancy.tally import Tally
from wsauthz.tenancy.transaction import Caller, Transaction, audit_entry

_log = logging.getLogger(__name__)
T = TypeVar("T")

UNRELATED: Final = "unrelated"
"""The kind of a change that no decision depends on; every revision has at least one change, so a gap shows."""
MOST_CHANGES_UNDER_LOCK: Final = 1_000
"""A writer further behind than this lets go of the lock and catches up first."""
_SURE_SECONDS: Final = 2.0
"""For how long after it was last asked the database is taken to be the same one."""
_MOST_CHANGES_TOLD: Final = 10_000
"""A revision with more than this, such as the end of a large organization, is told as a reload: nobody's loop should
stand still while it is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[T]):
    """What a write returned, and the revision it is visible from."""

    answer: T
    revision: Revision
    tally: Tally


class _Unchanged(Exception):
    """Rolls a transaction back that recorded nothing, and carries its answer."""

    def __init__(self, tx: Transaction, answer: Any, revision: Revision) -> None:
        super().__init__()
        self.tx = tx
        self.answer = answer
        self.revision = revision


def write(replica: Replica, by: Caller, work: Callable[[Transaction], T]) -> Written[T]:
    """Run one writing transaction in this worker thread; what records nothing is rolled back and makes no revision.

    When it returns, the change is durable and the replica's next decision sees it.

    Raises:
        TooFarBehind: the replica cannot keep up with the other writers. Refused: whatever ``work`` refuses.

    """
    replica.check_ready()
    try:
        try:
            tx, answer, mark = _transact(replica, by, work)
        except TooFarBehind:
            replica.catch_up()
            tx, answer, mark = _transact(replica, by, work)
    except _Unchanged as unchanged:
        _finish(replica, unchanged.tx)
        return Written(answer=unchanged.answer, revision=unchanged.revision, tally=unchanged.tx.tally)
    changes = [
        Change(revision=tx.revision.value, kind=kind, values=values, digest=tx.revision.digest)
        for kind, values in tx.changes
    ]
    if needs_reload(changes, tx.revision, replica.revision):
        replica.load()
    else:
        replica.loop.call(lambda: replica.apply_own(changes, tx.revision, mark))
        if replica.revision.value < tx.revision.value:
            replica.catch_up()  # older facts were put in place while this was committed
    _finish(replica, tx)
    return Written(answer=answer, revision=tx.revision, tally=tx.tally)


def _finish(replica: Replica, tx: Transaction) -> None:
    """Do what was put off until the transaction had ended."""
    for work in tx.later:
        try:
            with replica.database.write() as connection:
                work(connection)
        except Exception:  # noqa: BLE001 - the answer to the caller stays what it is
            _log.exception("what follows a write failed", extra={"method": tx.by.method, "actor": tx.by.actor})


def _transact(replica: Replica, by: Caller, work: Callable[[Transaction], T]) -> tuple[Transaction, T, Mark]:
    with replica.asking(), replica.database.write() as connection:
        revision, now = revisions.advance(connection)
        facts, rules = _caught_up(replica, connection, revision)
        tx = Transaction(
            connection=connection,
            facts=facts,
            rules=rules,
            # Expired for a Check is expired for a write, even when the clock of the database was set back.
            now=max(now, datetime.fromtimestamp(replica.now(), UTC)),
            by=by,
            revision=revision,
            scheduler=replica.scheduler,
        )
        try:
            answer = work(tx)
        except Refused as refused:
            refused.target = refused.target or tx.target
            raise
        if not (tx.changes or tx.notes):
            raise _Unchanged(tx, answer, replica.revision)
        if not tx.notes:
            message = f"{by.method} changes something without an audit entry"
            raise AssertionError(message)
        if not tx.changes:
            tx.changed((UNRELATED, {}))
        elif len(tx.changes) > _MOST_CHANGES_TOLD:
            tx.changes = [revisions.RELOAD]
        mark = revisions.record(connection, revision, tx.changes)
        entries = [audit_entry(by, note, now) for note in tx.notes]
        audit.append(connection, entries, revision, end=revision.audit_end, keys=replica.audit_keys)
        replica.committing = revision.notice
    return tx, answer, mark


def _caught_up(replica: Replica, connection: Connection, revision: Revision) -> tuple[Facts, Ruleset]:
    """Bring the facts to the state right before ``revision``, whose row is held, and return them with the rules."""
    have, before = replica.revision, revision.value - 1
    if have.epoch != revision.epoch or have.value > before:
        raise TooFarBehind  # a restored database; catching up reloads
    # Who follows asks this all the time; who was cut off may write first to a database restored meanwhile.
    is_sure = time.monotonic() - replica.seen_at < _SURE_SECONDS
    if not (is_sure or replica.mark.may_be(revisions.mark(connection, replica.mark.value))):
        raise TooFarBehind
    changes: Sequence[Change] = ()
    if have.value < before:
        changes = revisions.changes_after(connection, have.value, MOST_CHANGES_UNDER_LOCK)
        if len(changes) > MOST_CHANGES_UNDER_LOCK or needs_reload(changes, revision, have):
            raise TooFarBehind

    def apply() -> tuple[Facts, Ruleset]:
        replica.check_ready()  # applying may have failed since this writer came
        if changes:
            replica.apply(changes, revision.epoch, changes[-1].revision)
        if replica.revision.value != before:
            raise TooFarBehind
        return replica.facts, replica.rules

    return replica.loop.call(apply)
