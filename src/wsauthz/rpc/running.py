"""Where a servicer's method runs; without a mark it is a read or a write in a worker thread, as its option says."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message

from wsauthz.metrics import Metrics
from wsauthz.model.errors import NotFound, PermissionDenied, Refused
from wsauthz.policy.catalog import Reason
from wsauthz.replica import writing
from wsauthz.replica.replica import Replica
from wsauthz.rpc import replays
from wsauthz.rpc.long_calls import LongCalls
from wsauthz.rpc.methods import Method
from wsauthz.rpc.workers import Workers
from wsauthz.tenancy.tally import Tally
from wsauthz.tenancy.transaction import Caller, Reading, Transaction

Implementation = Callable[..., Any]
Rejected = Callable[[Method, Caller, Any, BaseException | None], None]
Marked = TypeVar("Marked", bound=Callable[..., Any])


def on_loop(method: Marked) -> Marked:
    """Mark a method ``(request, by)`` that runs on the event loop and never waits: a decision."""
    method.runs = "loop"  # type: ignore[attr-defined]  # functions take attributes
    return method


def after_reading(method: Marked) -> Marked:
    """Mark a coroutine ``(request, by, read)`` on the event loop: a decision, which may await ``read(work)`` before.

    That runs ``work(reading)`` in a worker thread, on one snapshot of the database, when it is its turn.
    """
    method.runs = "after_reading"  # type: ignore[attr-defined]  # functions take attributes
    return method


def in_thread(method: Marked) -> Marked:
    """Mark a method ``(request, by, carry_on)`` about the policy: long work in a thread, without a transaction."""
    method.runs = "thread"  # type: ignore[attr-defined]  # functions take attributes
    return method


def long_read(method: Marked) -> Marked:
    """Mark a method ``(request, by, carry_on)`` that reads for long, in short transactions that it begins itself."""
    method.runs = "long_read"  # type: ignore[attr-defined]  # functions take attributes
    return method


class Running:
    """Runs methods where they are marked to run, those that an actor must be allowed to call after asking that."""

    def __init__(self, replica: Replica, metrics: Metrics, workers: Workers, rejected: Rejected) -> None:
        self._replica = replica
        self._rejected = rejected
        """Called with errors of writes whose callers did not wait for them, and of parts of writes."""
        self._metrics = metrics
        self._workers = workers
        # Two pools: reads that take a minute must not keep a reload of the policy waiting.
        self._policy_calls, self._long_reads = LongCalls("policy"), LongCalls("long-read")

    def stop_long_calls(self) -> None:
        """End the calls that take long, with UNAVAILABLE."""
        self._policy_calls.stop()
        self._long_reads.stop()

    def close(self) -> None:
        """Wait for the calls that take long; blocks."""
        self._policy_calls.close()
        self._long_reads.close()

    def around(self, method: Method, implementation: Implementation) -> tuple[Implementation, bool]:
        """Return what runs the method for a request and a caller, and whether its answer is waited for."""
        runs = getattr(implementation, "runs", "transaction")
        if runs == "loop" and not method.needs_actor:
            return implementation, False
        around = {
            "loop": self._on_loop,
            "after_reading": self._after_reading,
            "thread": self._in_thread,
            "long_read": self._in_pages,
            "transaction": self._in_transaction,
        }[runs]
        return partial(around, method, implementation), runs != "loop"

    def _on_loop(self, method: Method, implementation: Implementation, request: Message, by: Caller) -> Any:
        self.authorize(method, request, by)
        return implementation(request, by)

    async def _after_reading(self, method: Method, implementation: Implementation, request: Message, by: Caller) -> Any:
        async def read(work: Callable[[Reading], Any]) -> Any:
            return await self._workers.read(lambda: self._replica.read(by, work), by)

        self.authorize(method, request, by)
        return await implementation(request, by, read)

    async def _in_thread(self, method: Method, implementation: Implementation, request: Message, by: Caller) -> Any:
        self.authorize(method, request, by)
        return await self._policy_calls.run(by, lambda carry_on: implementation(request, by, carry_on))

    async def _in_pages(self, method: Method, implementation: Implementation, request: Message, by: Caller) -> Any:
        self.authorize(method, request, by)
        return await self._long_reads.run(by, lambda carry_on: implementation(request, by, carry_on))

    async def _in_transaction(self, method: Method, implementation: Implementation, request: Any, by: Caller) -> Any:
        if not method.writes:
            self.authorize(method, request, by)
            return await self._workers.read(
                lambda: self._replica.read(by, lambda reading: implementation(request, reading)), by
            )
        try:
            self.authorize(method, request, by)  # a refusal ends here, and takes no lock
        except (NotFound, PermissionDenied) as refused:
            if refused.reason == Reason.USER_INACTIVE or not request.request_id:
                raise
            return await self._workers.read(partial(self._replay, method, request, by, refused), by)
        work = partial(self._write, method, implementation, request, by)
        return await self._workers.write(work, by, partial(self._rejected, method, by, request))

    def authorize(self, method: Method, request: Message, by: Caller) -> None:
        """Return if the actor may call the method with this request, by the facts as they are.

        Raises:
            Refused: the method's own question is denied.

        """
        if method.needs_actor:
            replica = self._replica
            method.authorize(replica.facts, replica.rules, replica.now(), actor=by.actor, request=request)

    def _write(self, method: Method, implementation: Implementation, request: Any, by: Caller) -> Any:
        def work(tx: Transaction) -> Any:
            if request.request_id and (stored := replays.stored(method, tx.connection, request, by, tx.now)):
                return stored
            if method.needs_actor:
                method.authorize(tx.facts, tx.rules, tx.now.timestamp(), actor=by.actor, request=request)
            response = implementation(request, tx)
            if tx.changes or tx.notes:
                response.revision = tx.revision.token
                if request.request_id:
                    replays.keep(tx, request, response)
            return response

        written = writing.write(self._replica, by, work)
        self._count(written.tally)
        if rejected := written.tally.rejected:
            self._replica.loop.call(lambda: [self._rejected(method, by, request, each) for each in rejected])
        if not written.answer.revision:
            written.answer.revision = written.revision.token
        return written.answer

    def _count(self, tally: Tally) -> None:
        self._metrics.joins.update(tally.joins)
        self._metrics.invitations.update(tally.invitations)
        self._metrics.analysis_resets += tally.analysis_resets

    def _replay(self, method: Method, request: Any, by: Caller, refused: Refused) -> Any:
        """Give the first answer to a request that was carried out before and would be refused now; else refuse."""
        now = datetime.fromtimestamp(self._replica.now(), UTC)
        stored = self._replica.read(by, lambda reading: replays.stored(method, reading.connection, request, by, now))
        if stored is None:
            raise refused
        return stored
