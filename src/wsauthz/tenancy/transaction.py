"""What a management function works with: a writing transaction, or a read with a way to ask the engine.

While a writing transaction holds the revision row no other can commit, and the facts have caught up with everything
that did, so they cannot change: it may look at them from its own thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from wsauthz.model.errors import Denied, NotFound, OrganizationNotFound, WorkspaceNotFound
from wsauthz.model.places import PlaceKey
from wsauthz.model.targets import Target
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store.audit import AuditEntry
from wsauthz.store.database import Connection
from wsauthz.store.revisions import Revision
from wsauthz.store.scheduler import NoScheduler, Scheduler
from wsauthz.tenancy.tally import Tally

T = TypeVar("T")

Change = tuple[str, Mapping[str, Any]]
"""Kind and values, as ``Facts.apply`` takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf something is done: the application, the user it acts for, and the RPC."""

    caller: str
    actor: str
    method: str
    request_id: str = ""
    """What the caller calls this call in its own log (metadata x-request-id)."""

    @property
    def limited_by(self) -> tuple[str, str, str]:
        """What limits on calls are kept by: the caller, the actor and the method."""
        return (self.caller, self.actor, self.method)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What was done to what; ids, enums and flags only, never a name, an address or a secret."""

    target_kind: str
    target_id: str
    place: PlaceKey
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One writing transaction. A function that records no change leaves no revision behind."""

    connection: Connection
    facts: Facts
    rules: Ruleset
    now: datetime
    """The database's time; never before what a decision of this process has seen."""
    by: Caller
    revision: Revision
    """What this transaction will be known as, if it changes something."""
    changes: list[Change] = field(default_factory=list)
    notes: list[AuditNote] = field(default_factory=list)
    later: list[Callable[[Connection], None]] = field(default_factory=list)
    scheduler: Scheduler = field(default_factory=NoScheduler)
    tally: Tally = field(default_factory=Tally)
    target: Target | None = None
    """What this is about, where the request alone does not say; the audit of a rejected attempt names it."""

    def afterwards(self, work: Callable[[Connection], None]) -> None:
        """Have work done in a transaction of its own once this one has ended well, whether or not it changed anything.

        It is for what stands outside of revision and audit; that it fails is logged, and changes no answer.
        """
        self.later.append(work)

    @property
    def actor(self) -> str:
        """The user this is done for."""
        return self.by.actor

    def ask(
        self,
        resource: str,
        action: str,
        place: PlaceKey,
        *,
        required_module: str = "",
        moment: float | None = None,
    ) -> Decision:
        """Return whether the actor may do it there, by a role that counts in the required module if one is named.

        With a ``moment``, in Unix seconds, it is whether it may then, if nothing but time changes.
        """
        return decide(
            self.facts,
            self.rules,
            self.now.timestamp() if moment is None else moment,
            subject=self.actor,
            place=place,
            resource=resource,
            action=action,
            required_module=required_module,
        )

    def require(self, resource: str, action: str, place: PlaceKey) -> None:
        """Return if the actor may do it there.

        Raises:
            NotFound: it may not, nor view the place. Denied: it may view the place, but not do this.

        """
        refuse_unless_allowed(self.rules, self.ask(resource, action, place), place, self.ask)

    def changed(self, change: Change) -> None:
        """Record what replicas must hear of; ``store.changes`` makes it from a noun."""
        self.changes.append(change)

    def audit(
        self,
        target_kind: str,
        target_id: str,
        place: PlaceKey,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Record what was done to what."""
        self.notes.append(
            AuditNote(target_kind=target_kind, target_id=target_id, place=place, before=before or {}, after=after or {})
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One read in a worker thread: a snapshot, and a way to ask the engine on the loop."""

    connection: Connection
    by: Caller
    ask_loop: Callable[[Callable[[Facts, Ruleset, float], Any]], Any]

    @property
    def actor(self) -> str:
        """The user this is read for."""
        return self.by.actor

    def on_loop(self, look: Callable[[Facts, Ruleset, float], T]) -> T:
        """Return what ``look(facts, rules, now)`` returns; only there may facts be looked at. ``now``: Unix seconds."""
        answer: T = self.ask_loop(look)
        return answer


def audit_entry(by: Caller, note: AuditNote, now: datetime, *, refusal: str = "", attempts: int = 1) -> AuditEntry:
    """Return the audit entry of something done or, with a reason, refused."""
    return AuditEntry(
        created_at=now,
        caller=by.caller,
        actor=by.actor,
        method=by.method,
        target_kind=note.target_kind,
        target_id=note.target_id,
        place_kind=note.place[0],
        place_id=note.place[1],
        before=note.before,
        after=note.after,
        refusal=refusal,
        attempts=attempts,
        request_id=by.request_id,
    )


def refuse_unless_allowed(
    rules: Ruleset,
    decision: Decision,
    place: PlaceKey,
    ask: Callable[[str, str, PlaceKey], Decision],
    target: PlaceKey | None = None,
) -> None:
    """Return if allowed; else say no more than the actor may know (product.md section 5), in the catalog's words.

    ``target`` is what the actor named, where that is not the place that was asked.

    Raises:
        NotFound: the actor may not view the target: the very same as if it did not exist.
        Denied: it may view it, but not do this.

    """
    if decision.allowed:
        return
    named = target or place
    kind = named[0]
    if kind != "platform" and not ask(kind, "view", named).allowed:
        raise not_found(named)
    reason = decision.reasons[0]
    raise Denied(reason.value, rules.catalog.answer(reason).message)


def not_found(place: PlaceKey) -> NotFound:
    """Return the error for a place that is not there, or not to be known of."""
    return OrganizationNotFound() if place[0] == "organization" else WorkspaceNotFound()
