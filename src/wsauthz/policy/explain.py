"""Every step of one decision, in order, in sentences for people."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from wsauthz.policy import terms
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import Decision, obstacles
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import Question, counting_in_required, held, matching
from wsauthz.policy.reasons import blocker
from wsauthz.policy.remedies import remedy
from wsauthz.policy.remedy import Remedy
from wsauthz.policy.ruleset import Compiled, Ruleset

_PASSED: Final[Mapping[Reason, str]] = {
    Reason.WORKSPACE_ID_MISSING: "A place was named.",
    Reason.USER_INACTIVE: "The user is not deactivated.",
    Reason.WORKSPACE_NOT_FOUND: "The place exists.",
    Reason.WORKSPACE_INACTIVE: "The place and every place above it are active.",
    Reason.NOT_A_MEMBER: "The subject holds a role that counts here.",
    Reason.MEMBERSHIP_INACTIVE: "No deactivated membership stands in the way.",
    Reason.MEMBERSHIP_EXPIRED: "No expired membership stands in the way.",
    Reason.MODULE_NOT_ENABLED: "The place has the module.",
    Reason.MODULE_NOT_GRANTED: "The role that allows this counts in every module asked for.",
    Reason.PLAN_FEATURE_MISSING: "The plan has whatever feature this needs.",
    Reason.WORKSPACE_SUSPENDED: "The place and every place above it are not suspended.",
    Reason.DENIED_BY_RULE: "No rule denies this.",
    Reason.ROLE_INSUFFICIENT: "A role that counts here would allow this in an active place.",
    Reason.CHILD_WORKSPACES_NOT_ALLOWED: "Child workspaces are not switched off here.",
}

_FAILED: Final[Mapping[Reason, str]] = {
    Reason.WORKSPACE_ID_MISSING: "No place was named.",
    Reason.USER_INACTIVE: "The user is deactivated.",
    Reason.WORKSPACE_NOT_FOUND: "There is no such place.",
    Reason.WORKSPACE_INACTIVE: "{blocker} is inactive.",
    Reason.NOT_A_MEMBER: "The subject holds no role that counts here.",
    Reason.MEMBERSHIP_INACTIVE: "The membership that would give a role is deactivated.",
    Reason.MEMBERSHIP_EXPIRED: "The membership that would give a role has expired.",
    Reason.MODULE_NOT_ENABLED: "{blocker} does not have the module.",
    Reason.MODULE_NOT_GRANTED: "The membership that gives the role does not include the module.",
    Reason.PLAN_FEATURE_MISSING: "The plan lacks the feature this needs.",
    Reason.WORKSPACE_SUSPENDED: "{blocker} is suspended.",
    Reason.DENIED_BY_RULE: "A rule denies this.",
    Reason.ROLE_INSUFFICIENT: "No role the subject holds allows this, not even in an active place.",
    Reason.CHILD_WORKSPACES_NOT_ALLOWED: "Child workspaces are switched off here.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was looked at: the name of a reason, or ``rules``."""

    name: str
    passed: bool
    detail: str
    remedy: Remedy | None


def steps(
    facts: Facts,
    rules: Ruleset,
    now: float,
    decision: Decision,
    *,
    subject: str,
    resource: str,
    action: str,
    required_module: str = "",
) -> list[Step]:
    """Return what was considered for this decision, in the order of formats.md E, the rules last."""
    at = decision.place
    found = decision.reasons
    question = None
    if at is not None and Reason.USER_INACTIVE not in found:
        what, object_id = rules.action(resource, action)
        question = Question(subject, at, what, object_id, required_module)
        found = obstacles(facts, rules, now, question)
    taken: list[Step] = []
    for reason in Reason:
        if reason not in found:
            if question is not None or not taken or taken[-1].passed:
                taken.append(Step(name=reason.value, passed=True, detail=_PASSED[reason], remedy=None))
            continue
        blocked_by = blocker(question.at, reason, question.modules) if question else None
        place = terms.place(blocked_by.key) if blocked_by else "The place"
        single = replace(decision, reasons=(reason,), blocked_by=blocked_by)
        fix = None
        if not decision.allowed:
            asked = {"subject": subject, "resource": resource, "action": action, "required_module": required_module}
            fix = remedy(facts, rules, now, single, **asked)
        taken.append(Step(name=reason.value, passed=False, detail=_FAILED[reason].format(blocker=place), remedy=fix))
        if question is None:
            break
    taken.append(_rules_step(decision))
    return taken


def matched(facts: Facts, rules: Ruleset, now: float, question: Question) -> list[Compiled]:
    """Return every row that matches in the present state, by every role that counts in the resource's module.

    Rows that allow are those of roles that count in the required module as well.
    """
    nodes = held(facts, rules, now, question.subject, question.at, question.action.module)
    able = counting_in_required(facts, rules, now, question, nodes)
    rows = (row for row in matching(question, nodes, question.at.state) if not row.allows or row.node in able)
    return sorted(rows, key=lambda row: (row.rule.line, row.node))


def _rules_step(decision: Decision) -> Step:
    if decision.allowed and decision.rule is not None:
        detail = f"policy.csv line {decision.rule.line} allows this: {decision.rule.text}"
    elif decision.rule is not None:
        detail = f"policy.csv line {decision.rule.line} denies this: {decision.rule.text}"
    else:
        detail = "No rule allows this."
    return Step(name="rules", passed=decision.allowed, detail=detail, remedy=None)
