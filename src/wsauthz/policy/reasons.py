"""Everything that is in the way of what was denied, in the order in which reasons are given (formats.md E)."""

from functools import cache
from typing import Final

from wsauthz.model.places import State
from wsauthz.policy.catalog import Reason
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import (
    Holding,
    Question,
    children_switched_off,
    counting_in_required,
    has_module,
    held,
    lacks_feature,
    lacks_required,
    match,
)
from wsauthz.policy.ruleset import Compiled, Match, Nodes, Ruleset
from wsauthz.policy.terms import CORE

# Asking an enum for a member costs as much as a lookup in the facts before Python 3.12.
_ACTIVE, _SUSPENDED, _INACTIVE = State.ACTIVE, State.SUSPENDED, State.INACTIVE
_NOT_A_MEMBER: Final = Reason.NOT_A_MEMBER
_MODULE_NOT_ENABLED: Final = Reason.MODULE_NOT_ENABLED
_MODULE_NOT_GRANTED: Final = Reason.MODULE_NOT_GRANTED
_PLAN_FEATURE_MISSING: Final = Reason.PLAN_FEATURE_MISSING
_WORKSPACE_INACTIVE: Final = Reason.WORKSPACE_INACTIVE
_WORKSPACE_SUSPENDED: Final = Reason.WORKSPACE_SUSPENDED
_DENIED_BY_RULE: Final = Reason.DENIED_BY_RULE
_ROLE_INSUFFICIENT: Final = Reason.ROLE_INSUFFICIENT
_CHILD_WORKSPACES_NOT_ALLOWED: Final = Reason.CHILD_WORKSPACES_NOT_ALLOWED


def reasons(
    facts: Facts, rules: Ruleset, now: float, question: Question, holding: Holding, matched: Match
) -> tuple[Reason, ...]:
    """Return every reason that applies, in order, given what is held and what matches; at least one if denied.

    A place may be suspended, and so an obstacle for a route guard, although a rule allows the action even then.
    """
    at = question.at
    in_module, left_out, _ = holding
    allow, deny = matched
    is_enabled = has_module(at, question.action.module)
    is_limited = left_out or question.required_module != ""
    anything = held(facts, rules, now, question.subject, at, None) if left_out else in_module
    has_all = is_enabled and at.state is _ACTIVE and not is_limited
    sufficient = (allow if has_all else match(question, anything, _ACTIVE)[0]) is not None
    found: list[Reason] = []
    if at.state is _INACTIVE:
        found.append(_WORKSPACE_INACTIVE)
    if not anything:
        found.append(_no_role(facts, rules, now, question) if left_out else _NOT_A_MEMBER)
    if not is_enabled or lacks_required(rules, question):
        found.append(_MODULE_NOT_ENABLED)
    if is_limited and allow is None and _is_elsewhere(facts, rules, now, question, in_module, anything):
        found.append(_MODULE_NOT_GRANTED)
    if lacks_feature(rules, question):
        found.append(_PLAN_FEATURE_MISSING)
    if at.state is _SUSPENDED:
        found.append(_WORKSPACE_SUSPENDED)
    if deny is not None:
        found.append(_DENIED_BY_RULE)
    if not sufficient:
        found.append(_ROLE_INSUFFICIENT)
    if children_switched_off(question):
        found.append(_CHILD_WORKSPACES_NOT_ALLOWED)
    return tuple(found)


def _is_elsewhere(
    facts: Facts, rules: Ruleset, now: float, question: Question, in_module: Nodes, anything: Nodes
) -> bool:
    """Tell whether some role would allow it here and now, but none that counts in all modules that are asked for."""
    state = question.at.state
    if match(question, anything, state)[0] is None:
        return False
    return match(question, counting_in_required(facts, rules, now, question, in_module), state)[0] is None


@cache
def usual_reasons(state: State, is_member: bool, is_enabled: bool, is_sufficient: bool) -> tuple[Reason, ...]:  # noqa: FBT001 - cached by position
    """Return what :func:`reasons` does where only the state, a role, the module and a rule can be in the way."""
    applies = {
        _WORKSPACE_INACTIVE: state is _INACTIVE,
        _NOT_A_MEMBER: not is_member,
        _MODULE_NOT_ENABLED: not is_enabled,
        _WORKSPACE_SUSPENDED: state is _SUSPENDED,
        _ROLE_INSUFFICIENT: not is_sufficient,
    }
    return tuple(reason for reason, does in applies.items() if does)


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


def blocker(at: Place, reason: Reason, modules: tuple[str, ...], deny: Compiled | None = None) -> Place | None:
    """Return the place whose own flag, list, plan or rule is behind the reason, where one is; "" is no module."""
    if reason is _WORKSPACE_INACTIVE or reason is _WORKSPACE_SUSPENDED:
        return at.blocked_by
    if reason is _MODULE_NOT_ENABLED:
        for module in modules:
            for place in at.chain:
                if module and module != CORE and place.own_modules is not None and module not in place.own_modules:
                    return place
    if reason is _PLAN_FEATURE_MISSING:
        return next((place for place in at.chain if place.own_subscription), at)
    if reason is _DENIED_BY_RULE and deny is not None:
        return next((place for place in at.chain if place.key == deny.place), None)
    return at if reason is _CHILD_WORKSPACES_NOT_ALLOWED else None
