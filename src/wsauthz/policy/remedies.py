"""The remedy for a denial, whatever its first reason is."""

from dataclasses import replace
from typing import Final

from wsauthz.model.places import State
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import Decision
from wsauthz.policy.facts import Facts
from wsauthz.policy.membership_changes import rules_allow
from wsauthz.policy.membership_remedy import membership_remedy
from wsauthz.policy.question import Question
from wsauthz.policy.remedy import Remedy, children_remedy, module_remedy, plan_remedy, state_remedy, states_to_come
from wsauthz.policy.ruleset import Ruleset

_BESIDES: Final = frozenset(
    {Reason.MODULE_NOT_ENABLED, Reason.PLAN_FEATURE_MISSING, Reason.CHILD_WORKSPACES_NOT_ALLOWED}
)
"""Reasons that are about neither the rules nor what somebody holds."""
_STATES: Final = frozenset({Reason.WORKSPACE_INACTIVE, Reason.WORKSPACE_SUSPENDED})


def remedy(
    facts: Facts,
    rules: Ruleset,
    now: float,
    decision: Decision,
    *,
    subject: str,
    resource: str,
    action: str,
    required_module: str = "",
) -> Remedy:
    """Return what would fix the first reason of the denial; ``now`` is in Unix seconds.

    Where that is not enough the sentence says so.
    """
    reason, at = decision.reasons[0], decision.place
    if at is None:
        missing = reason is Reason.WORKSPACE_ID_MISSING
        return Remedy(message="Name the place that is meant." if missing else "Check the id: there is no such place.")
    asked, object_id = rules.action(resource, action)
    question = Question(subject, at, asked, object_id, required_module)
    if reason is Reason.USER_INACTIVE:
        message = "The application must reactivate the user (UpsertUser)."
        return Remedy(message=message, method="UserService/UpsertUser")
    is_allowed = rules_allow(facts, rules, now, question, at.state)
    if is_allowed and reason in _STATES:  # they allow it even in this state: something else is in the way, if anything
        reason = next((other for other in decision.reasons if other in _BESIDES), reason)
    left = {*decision.reasons} - {reason}
    match reason:
        case Reason.MODULE_NOT_ENABLED:
            fix = module_remedy(rules, question)
        case Reason.PLAN_FEATURE_MISSING:
            fix = plan_remedy(rules, question)
        case Reason.CHILD_WORKSPACES_NOT_ALLOWED:
            fix = children_remedy(at)
        case _:
            is_allowed, fix = True, _about_rules(facts, rules, now, question, replace(decision, reasons=(reason,)))
    if is_allowed:
        left &= _BESIDES
    if left:
        others = ", ".join(other for other in Reason if other in left)
        fix = replace(fix, message=f"{fix.message} This alone is not enough: {others}.")
    return fix


def _about_rules(facts: Facts, rules: Ruleset, now: float, question: Question, decision: Decision) -> Remedy:
    """Return what would make the rules allow it: another state of the place, or something about what is held."""
    reason, at = decision.reasons[0], question.at
    if reason in _STATES:
        states = (at.state, *states_to_come(at))
        found = next((state for state in states if rules_allow(facts, rules, now, question, state)), None)
        if found is not None:
            return state_remedy(at, found if found is not at.state else State.ACTIVE)
    fix = membership_remedy(facts, rules, now, question)
    if reason is Reason.DENIED_BY_RULE:
        line = decision.rule.line if decision.rule else 0
        denied = f"A rule denies this (policy.csv line {line})"
        if fix is None:
            return Remedy(message=f"{denied}; only a change of the policy lifts it.")
        return replace(fix, message=f"{denied} to a role of the user. {fix.message}")
    return fix or Remedy(message="No role that could be given here allows this.", place=at)
