"""One decision: a pure function of facts, rules, question and time (formats.md E). No lock, no I/O.

An exception is an error, never an allow; an allow always carries the rule that allowed it.
"""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, State
from wsauthz.policy.catalog import Reason, ResourceType
from wsauthz.policy.facts import Facts, Place
from wsauthz.policy.rules import Rule
from wsauthz.policy.ruleset import Compiled, Match, Nodes, Ruleset
from wsauthz.policy.terms import CORE, EVERYONE

SUBSCRIPTION_EXPIRED: Final = "SUBSCRIPTION_EXPIRED"
UNKNOWN_MODULE: Final = "UNKNOWN_MODULE"
_EVERYONE: Final[Nodes] = frozenset({EVERYONE})
_NOTHING: Final[Nodes] = frozenset()
# Asking an enum for a member costs as much as a lookup in the facts before Python 3.12.
_ACTIVE: Final = State.ACTIVE
_SUSPENDED: Final = State.SUSPENDED
_INACTIVE: Final = State.INACTIVE
_NOT_A_MEMBER: Final = Reason.NOT_A_MEMBER
_ROLE_INSUFFICIENT: Final = Reason.ROLE_INSUFFICIENT
OF_THE_SUBJECT: Final = frozenset(
    {_NOT_A_MEMBER, _ROLE_INSUFFICIENT, Reason.MEMBERSHIP_INACTIVE, Reason.MEMBERSHIP_EXPIRED}
)
"""Reasons that no place is behind; what would fix them is the same everywhere."""
_NO_ROLE_AT_ALL: Final = (_NOT_A_MEMBER, _ROLE_INSUFFICIENT)
_NOT_SUFFICIENT: Final = (_ROLE_INSUFFICIENT,)
_NO_MATCH: Final[Match] = (None, None)

Holding = tuple[Nodes, bool, bool]
"""What counts, whether some membership here does not, and whether one expires. Bare, as every decision makes one."""


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
    depends_on_time: bool = False
    """Whether some membership here has an end, so that time alone could change this answer."""

    @property
    def reason(self) -> Reason | None:
        """The first of the reasons; None when allowed."""
        return self.reasons[0] if self.reasons else None


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
    at = facts.places.get(place)
    if subject in facts.deactivated:
        return Decision(False, (Reason.USER_INACTIVE,), at)
    if at is None:
        return Decision(False, (Reason.WORKSPACE_NOT_FOUND,))
    question = Question(subject, at, kind, action, object_id, required_module)
    warnings: tuple[str, ...] = (SUBSCRIPTION_EXPIRED,) if at.is_lapsed else ()
    holding, (allow, deny) = _weigh(facts, rules, now, question)
    is_gated = required_module or kind.is_core or kind.actions[action] is not None
    if allow is not None and deny is None and not (is_gated and _is_stopped(facts, rules, now, question)):
        until = _valid_until(facts, rules, now, question) if holding[2] else None
        return Decision(True, (), at, allow.rule, None, warnings, until, holding[2])
    if is_unknown(rules, required_module):
        warnings = (*warnings, UNKNOWN_MODULE)
    reasons = _obstacles(facts, rules, now, question, holding, (allow, deny))
    blocked_by = None if reasons[0] in OF_THE_SUBJECT else blocker(question, reasons[0], deny)
    return Decision(False, reasons, at, deny.rule if deny else None, blocked_by, warnings, None, holding[2])


def allowing(facts: Facts, rules: Ruleset, now: float, question: Question) -> Rule | None:
    """Return the rule that allows, or None: the answer without its reasons, for asking many questions."""
    _, (allow, deny) = _weigh(facts, rules, now, question)
    if allow is None or deny is not None or _is_stopped(facts, rules, now, question):
        return None
    return allow.rule


def _weigh(facts: Facts, rules: Ruleset, now: float, question: Question) -> tuple[Holding, Match]:
    """Return what the subject holds, and the rows that allow and deny; none do in a module that the place lacks."""
    at, module = question.at, question.type.module
    holding = _hold(facts, rules, now, question.subject, at, module)
    if not has_module(at, module):
        return holding, _NO_MATCH
    cell = rules.cells[question.type.name, question.action, at.state]
    return holding, cell.match(holding[0], at.chain, question.object_id)


def held(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place, module: str | None) -> Nodes:
    """Return the roles and permissions that count in the place for a module; None ignores module lists.

    Whether the place has the module is another question: :func:`has_module`.
    """
    return _hold(facts, rules, now, subject, at, module)[0]


def _hold(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place, module: str | None) -> Holding:
    nodes = _NOTHING
    left_out = expires = False
    grants = facts.grants.get(subject)
    if grants is not None:
        for distance, place in enumerate(at.chain):
            grant = grants.get(place)
            if grant is None:
                continue
            role, permissions, modules, is_active, expires_at = grant
            if (
                is_active
                and (expires_at is None or now < expires_at)
                and (modules is None or module is None or module == CORE or module in modules)
            ):
                given = rules.given(role, permissions, distance)
                nodes = nodes | given if nodes else given
            else:
                left_out = True
            if expires_at is not None:
                expires = True
    owned = facts.owned.get(subject)
    if owned is not None:  # not place.owner: for most subjects one lookup tells that they own nothing
        for distance, place in enumerate(at.chain):
            if place in owned:
                nodes |= rules.owned(distance)
    if at is facts.platform and facts.users.get(subject):
        nodes |= _EVERYONE
    return nodes, left_out, expires


def has_module(at: Place, module: str) -> bool:
    """Tell whether the place has the module effectively; everybody has ``core``."""
    return module == CORE or at.modules is None or module in at.modules


def matching(rules: Ruleset, question: Question, nodes: Nodes, state: State) -> list[Compiled]:
    """Return every row that matches the question for these nodes in this state."""
    cell = rules.cells[question.type.name, question.action, state]
    return cell.matching(nodes, question.at.chain, question.object_id)


def match(rules: Ruleset, question: Question, nodes: Nodes, state: State) -> Match:
    """Return the row that allows and the row that denies; of several the first in policy.csv."""
    return rules.cells[question.type.name, question.action, state].match(nodes, question.at.chain, question.object_id)


def _is_stopped(facts: Facts, rules: Ruleset, now: float, question: Question) -> bool:
    """Tell whether what no rule speaks of is in the way of what one allows: a module, a feature, a switch."""
    return (
        (question.required_module != "" and not _passes_module(facts, rules, now, question))
        or _lacks_feature(rules, question)
        or _children_switched_off(question)
    )


def _passes_module(facts: Facts, rules: Ruleset, now: float, question: Question) -> bool:
    """The module guard: the place has the module, and some role of the subject counts in it (REQ-117)."""
    module = question.required_module
    if is_unknown(rules, module) or not has_module(question.at, module):
        return False
    return bool(held(facts, rules, now, question.subject, question.at, module))


def is_unknown(rules: Ruleset, module: str) -> bool:
    """Tell whether a module is named and there is none of that name."""
    return module not in {"", CORE} and module not in rules.catalog.modules


def _lacks_feature(rules: Ruleset, question: Question) -> bool:
    feature = question.type.actions[question.action]
    if feature is None or not rules.catalog.plans:
        return False  # a bundle without plans gates nothing by them
    subscription = question.at.subscription
    plan = rules.catalog.plans.get(subscription[0]) if subscription else None
    return plan is None or feature not in plan.features


def _children_switched_off(question: Question) -> bool:
    return (
        question.type.is_core
        and question.at.child_workspaces is False
        and question.action == "create_child"
        and question.type.name == "workspace"
    )


def _valid_until(facts: Facts, rules: Ruleset, now: float, question: Question) -> float | None:
    """Return the first expiry at which the same question is denied; None if it stays allowed after all of them."""
    grants = facts.grants[question.subject]
    expiries = [grants[place].expires_at for place in question.at.chain if place in grants]
    coming = sorted(moment for moment in expiries if moment is not None and moment > now)
    return next((moment for moment in coming if allowing(facts, rules, moment, question) is None), None)


def obstacles(facts: Facts, rules: Ruleset, now: float, question: Question) -> tuple[Reason, ...]:
    """Return every reason that applies to the question, in order; at least one does if the question is denied.

    A place may be suspended, and so an obstacle for a route guard, although a rule allows the action even then.
    """
    holding, matched = _weigh(facts, rules, now, question)
    return _obstacles(facts, rules, now, question, holding, matched)


def _obstacles(
    facts: Facts, rules: Ruleset, now: float, question: Question, holding: Holding, matched: Match
) -> tuple[Reason, ...]:
    at, kind, required = question.at, question.type, question.required_module
    in_module, left_out, _ = holding
    allow, deny = matched
    is_enabled = has_module(at, kind.module)
    is_plain = is_enabled and at.state is _ACTIVE and not (left_out or required or kind.is_core)
    if is_plain and allow is None and deny is None and kind.actions[question.action] is None:
        # Of four denials three: nothing but the roles is in the way, and that is soon said.
        return _NOT_SUFFICIENT if in_module else _NO_ROLE_AT_ALL
    anything = held(facts, rules, now, question.subject, at, None) if left_out else in_module
    sufficient = allow is not None
    if left_out or not is_enabled or at.state is not _ACTIVE:
        sufficient = match(rules, question, anything, _ACTIVE)[0] is not None
    lacks_required = required and anything and not held(facts, rules, now, question.subject, at, required)
    lacks_module = not is_enabled or (required and (is_unknown(rules, required) or not has_module(at, required)))
    is_elsewhere = left_out and sufficient and match(rules, question, in_module, _ACTIVE)[0] is None
    found = (
        Reason.WORKSPACE_INACTIVE if at.state is _INACTIVE else None,
        None if anything else _no_role(facts, rules, now, question) if left_out else _NOT_A_MEMBER,
        Reason.MODULE_NOT_ENABLED if lacks_module else None,
        Reason.MODULE_NOT_GRANTED if lacks_required or is_elsewhere else None,
        Reason.PLAN_FEATURE_MISSING if kind.actions[question.action] and _lacks_feature(rules, question) else None,
        Reason.WORKSPACE_SUSPENDED if at.state is _SUSPENDED else None,
        None if deny is None else Reason.DENIED_BY_RULE,
        None if sufficient else _ROLE_INSUFFICIENT,
        Reason.CHILD_WORKSPACES_NOT_ALLOWED if kind.is_core and _children_switched_off(question) else None,
    )
    return tuple(filter(None, found))


def _no_role(facts: Facts, rules: Ruleset, now: float, question: Question) -> Reason:
    """Tell why no role is left of the memberships here: one is deactivated, or expired, or none would give a role."""
    grants = facts.grants[question.subject]
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
    return at if reason is Reason.CHILD_WORKSPACES_NOT_ALLOWED else None
