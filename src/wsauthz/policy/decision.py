"""One decision: a pure function of facts, rules, question and time (formats.md E). No lock, no I/O.

An exception is an error, never an allow; an allow always carries the rule that allowed it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, State
from wsauthz.policy.catalog import Reason, ResourceType
from wsauthz.policy.facts import Facts, Grant, Place
from wsauthz.policy.rules import Rule
from wsauthz.policy.ruleset import Compiled, Nodes, Ruleset
from wsauthz.policy.terms import CORE, EVERYONE

SUBSCRIPTION_EXPIRED: Final = "SUBSCRIPTION_EXPIRED"
UNKNOWN_MODULE: Final = "UNKNOWN_MODULE"
_LAPSED: Final = frozenset({4, 5})  # SubscriptionStatus.EXPIRED and CANCELLED, as plain ints
_NO_GRANTS: Final[Mapping[Place, Grant]] = {}
_EVERYONE: Final[Nodes] = frozenset({EVERYONE})
_NOTHING: Final[Nodes] = frozenset()


@dataclass(slots=True)
class Decision:
    """The answer to one question. Not frozen: building a frozen dataclass costs more than deciding."""

    allowed: bool
    reasons: tuple[Reason, ...] = ()
    """Why not, in order; empty when allowed."""
    place: Place | None = None
    """Where it was asked; None when the question names no known place."""
    rule: Rule | None = None
    """The rule that allowed, or the deny that matched."""
    blocked_by: Place | None = None
    """The place whose own flag, list or plan is behind the first reason, where one is."""
    warnings: tuple[str, ...] = ()
    valid_until: float | None = None
    """Unix seconds at which this allow stops being true by itself, if ever."""


@dataclass(slots=True)
class Question:
    """What is asked, resolved against the facts."""

    subject: str
    at: Place
    type: ResourceType
    action: str
    object_id: str
    required_module: str


def decide(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    subject: str,
    place: PlaceKey | None,
    resource: str,
    action: str,
    required_module: str = "",
) -> Decision:
    """Answer whether the subject may do the action on the resource in the place; ``now`` is in Unix seconds.

    Raises:
        UnknownResource: the type of the resource is in no vocabulary. UnknownAction: the type lacks the action.

    """
    kind, object_id = rules.type_of(resource, action)
    if place is None:
        return Decision(False, (Reason.WORKSPACE_ID_MISSING,))
    if facts.users.get(subject) is False:
        return Decision(False, (Reason.USER_INACTIVE,), facts.places.get(place))
    at = facts.places.get(place)
    if at is None:
        return Decision(False, (Reason.WORKSPACE_NOT_FOUND,))
    question = Question(subject, at, kind, action, object_id, required_module)
    warnings: tuple[str, ...] = (SUBSCRIPTION_EXPIRED,) if lapsed(at) else ()
    rule = allowing(facts, rules, now, question)
    if rule is not None:
        return Decision(True, (), at, rule, None, warnings, _valid_until(facts, rules, now, question))
    if required_module and not _known(rules, required_module):
        warnings = (*warnings, UNKNOWN_MODULE)
    return _denied(facts, rules, now, question, warnings)


def lapsed(at: Place) -> bool:
    """Tell whether the effective subscription has expired or was cancelled: a warning, never a denial (REQ-131)."""
    return at.subscription is not None and at.subscription[1] in _LAPSED


def allowing(facts: Facts, rules: Ruleset, now: float, question: Question) -> Rule | None:
    """Return the rule that allows, or None: the answer without its reasons, for asking many questions."""
    at, kind, required = question.at, question.type, question.required_module
    if not has_module(at, kind.module):
        return None
    allow, deny = match(rules, question, held(facts, rules, now, question.subject, at, kind.module), at.state)
    if allow is None or deny is not None:
        return None
    if required and not _passes_module(facts, rules, now, question):
        return None
    if kind.actions[question.action] and _lacks_feature(rules, question):
        return None
    return None if _children_switched_off(question) else allow.rule


def held(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place, module: str | None) -> Nodes:
    """Return the roles and permissions that count in the place for a module; None ignores module lists.

    Whether the place has the module is another question: :func:`has_module`.
    """
    grants = facts.grants.get(subject, _NO_GRANTS)
    nodes: Nodes = _NOTHING
    for distance, place in enumerate(at.chain):
        grant = grants.get(place)
        if grant is not None:
            role, permissions, modules, is_active, expires_at = grant
            if (
                is_active
                and (expires_at is None or now < expires_at)
                and (modules is None or module is None or module == CORE or module in modules)
            ):
                given = rules.given(role, permissions, distance)
                nodes = nodes | given if nodes else given
        if place.owner == subject:
            nodes |= rules.owned(distance)
    if at is facts.platform and facts.users.get(subject):
        nodes |= _EVERYONE
    return nodes


def has_module(at: Place, module: str) -> bool:
    """Tell whether the place has the module effectively; everybody has ``core``."""
    return module == CORE or at.modules is None or module in at.modules


def matching(rules: Ruleset, question: Question, nodes: Nodes, state: State) -> Iterator[Compiled]:
    """Yield every row that matches the question for these nodes in this state."""
    by_node = rules.rows(question.type.name, question.action, state)
    for node in nodes:
        for row in by_node.get(node, ()):
            if row.object_id is not None and row.object_id != question.object_id:
                continue
            if row.place is None or any(place.key == row.place for place in question.at.chain):
                yield row


def match(rules: Ruleset, question: Question, nodes: Nodes, state: State) -> tuple[Compiled | None, Compiled | None]:
    """Return the row that allows and the row that denies; of several the first in policy.csv."""
    allow = deny = None
    for row in matching(rules, question, nodes, state):
        if row.allows:
            if allow is None or row.line < allow.line:
                allow = row
        elif deny is None or row.line < deny.line:
            deny = row
    return allow, deny


def _passes_module(facts: Facts, rules: Ruleset, now: float, question: Question) -> bool:
    """The module guard: the place has the module, and some role of the subject counts in it (REQ-117)."""
    module = question.required_module
    if not _known(rules, module) or not has_module(question.at, module):
        return False
    return bool(held(facts, rules, now, question.subject, question.at, module))


def _known(rules: Ruleset, module: str) -> bool:
    return module == CORE or module in rules.catalog.modules


def _lacks_feature(rules: Ruleset, question: Question) -> bool:
    feature = question.type.actions[question.action]
    if feature is None or not rules.catalog.plans:
        return False  # a bundle without plans gates nothing by them
    subscription = question.at.subscription
    plan = rules.catalog.plans.get(subscription[0]) if subscription else None
    return plan is None or feature not in plan.features


def _children_switched_off(question: Question) -> bool:
    return (
        question.at.child_workspaces is False
        and question.action == "create_child"
        and question.type.is_core
        and question.type.name == "workspace"
    )


def _valid_until(facts: Facts, rules: Ruleset, now: float, question: Question) -> float | None:
    """Return the first expiry at which the same question is denied; None if it stays allowed after all of them."""
    grants = facts.grants.get(question.subject)
    if not grants:
        return None
    expiries = [
        grant.expires_at
        for place in question.at.chain
        if (grant := grants.get(place)) is not None and grant.expires_at is not None and grant.expires_at > now
    ]
    return next((moment for moment in sorted(expiries) if allowing(facts, rules, moment, question) is None), None)


def _denied(facts: Facts, rules: Ruleset, now: float, question: Question, warnings: tuple[str, ...]) -> Decision:
    reasons = obstacles(facts, rules, now, question)
    deny = _deny(facts, rules, now, question) if Reason.DENIED_BY_RULE in reasons else None
    blocked_by = blocker(question, reasons[0], deny)
    return Decision(False, reasons, question.at, deny.rule if deny else None, blocked_by, warnings)


def obstacles(facts: Facts, rules: Ruleset, now: float, question: Question) -> tuple[Reason, ...]:
    """Return every reason that applies to the question, in order; at least one does if the question is denied.

    A place may be suspended, and so an obstacle for a route guard, although a rule allows the action even then.
    """
    at, module, required = question.at, question.type.module, question.required_module
    anything = held(facts, rules, now, question.subject, at, None)
    in_module = held(facts, rules, now, question.subject, at, module)
    sufficient = _would_allow(rules, question, anything)
    lacks_required = required and anything and not held(facts, rules, now, question.subject, at, required)
    lacks_module = not has_module(at, module) or (
        required and not (_known(rules, required) and has_module(at, required))
    )
    found = (
        (at.state == State.INACTIVE, Reason.WORKSPACE_INACTIVE),
        (not anything, _no_role(facts, rules, now, question)),
        (lacks_module, Reason.MODULE_NOT_ENABLED),
        (lacks_required or (sufficient and not _would_allow(rules, question, in_module)), Reason.MODULE_NOT_GRANTED),
        (_lacks_feature(rules, question), Reason.PLAN_FEATURE_MISSING),
        (at.state == State.SUSPENDED, Reason.WORKSPACE_SUSPENDED),
        (_deny(facts, rules, now, question), Reason.DENIED_BY_RULE),
        (not sufficient, Reason.ROLE_INSUFFICIENT),
        (_children_switched_off(question), Reason.CHILD_WORKSPACES_NOT_ALLOWED),
    )
    return tuple(reason for applies, reason in found if applies)


def _deny(facts: Facts, rules: Ruleset, now: float, question: Question) -> Compiled | None:
    if not has_module(question.at, question.type.module):
        return None
    nodes = held(facts, rules, now, question.subject, question.at, question.type.module)
    return match(rules, question, nodes, question.at.state)[1]


def _would_allow(rules: Ruleset, question: Question, nodes: Nodes) -> bool:
    """Tell whether an allow row would match for these nodes in an active place, denies aside."""
    return any(row.allows for row in matching(rules, question, nodes, State.ACTIVE))


def _no_role(facts: Facts, rules: Ruleset, now: float, question: Question) -> Reason:
    """Tell why no role is left: a row that would give one is deactivated, or expired, or there is none."""
    grants = facts.grants.get(question.subject, _NO_GRANTS)
    reason = Reason.NOT_A_MEMBER
    for distance, place in enumerate(question.at.chain):
        grant = grants.get(place)
        if grant is not None and rules.given(grant.role, grant.permissions, distance):
            if not grant.is_active:
                return Reason.MEMBERSHIP_INACTIVE
            if grant.expires_at is not None and grant.expires_at <= now:
                reason = Reason.MEMBERSHIP_EXPIRED
    return reason


def blocker(question: Question, reason: Reason, deny: Compiled | None = None) -> Place | None:
    """Return the place whose own flag, list, plan or rule is behind the reason, where one is."""
    at = question.at
    if reason in {Reason.WORKSPACE_INACTIVE, Reason.WORKSPACE_SUSPENDED}:
        return at.blocked_by
    if reason is Reason.MODULE_NOT_ENABLED:
        for module in (question.type.module, question.required_module):
            for place in at.chain:
                if module and module != CORE and place.own_modules is not None and module not in place.own_modules:
                    return place
    if reason is Reason.PLAN_FEATURE_MISSING:
        return next((place for place in at.chain if place.own_subscription), at)
    if reason is Reason.DENIED_BY_RULE and deny is not None:
        return next((place for place in at.chain if place.key == deny.place), None)
    if reason is Reason.CHILD_WORKSPACES_NOT_ALLOWED:
        return at
    return None
