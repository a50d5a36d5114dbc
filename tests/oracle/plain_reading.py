"""formats.md E and product.md read plainly: slow, obvious, and free of Casbin and of the engine."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.oracle.plain_rules import Unknown, counts, matching, name_of, nodes, rows_of, rules_allow, vocabulary
from tests.oracle.plain_state import (
    Case,
    PlaceKey,
    Question,
    Row,
    effective_state,
    exists,
    has_module,
    inactive,
    own,
    path,
    subscription,
    suspended,
    without_module,
)

LAPSED = (4, 5)  # expired, cancelled


class Answer(NamedTuple):
    """What is answered; ``blocked_by`` belongs to the first reason."""

    allowed: bool
    reasons: tuple[str, ...] = ()
    blocked_by: PlaceKey | None = None
    valid_until: float | None = None
    warnings: tuple[str, ...] = ()
    rule: Row | None = None
    """The first row of policy.csv that allows, or the first that denies."""


def answer(case: Case, question: Question) -> Answer:
    """Answer a question as formats.md E says.

    Raises:
        Unknown: the resource type or the action is in no vocabulary.

    """
    if question.action not in vocabulary(case.policy, question.kind):
        raise Unknown(question.action)
    if question.place is None:
        return Answer(False, ("WORKSPACE_ID_MISSING",))
    if case.state.users.get(question.subject, {}).get("is_active") is False:
        return Answer(False, ("USER_INACTIVE",))
    if not exists(case.state, question.place):
        return Answer(False, ("WORKSPACE_NOT_FOUND",))
    warnings = tuple(_warnings(case, question))
    if _allows(case, question):
        return Answer(True, (), None, _valid_until(case, question), warnings, _rule(case, question, "allow"))
    reasons = tuple(reason for reason, applies in _everything(case, question) if applies)
    rule = _rule(case, question, "deny") if "DENIED_BY_RULE" in reasons else None
    return Answer(False, reasons, _blocker(case, question, reasons[0]), None, warnings, rule)


def _allows(case: Case, question: Question) -> bool:
    """Answer step 4: the rules, and the feature and the switch that are asked for besides."""
    return rules_allow(case, question) and not _lacks_feature(case, question) and not _switched_off(case, question)


def _everything(case: Case, question: Question) -> Iterable[tuple[str, bool]]:
    """Yield the reasons of step 5, in order, and whether each applies to a question that is denied."""
    user, at, module, required = question.subject, question.at, question.module, question.required_module
    has = has_module(case.state, case.policy, at, module)
    has_required = not required or has_module(case.state, case.policy, at, required)
    state = effective_state(case.state, at)
    anywhere, here = nodes(case, user, at, None), nodes(case, user, at, module)
    in_both = here & nodes(case, user, at, required or "core")
    would_anywhere = bool(matching(case, question, anywhere, state, "allow"))
    would_in_both = bool(matching(case, question, in_both, state, "allow"))

    yield "WORKSPACE_INACTIVE", state == "inactive"
    yield _why_no_role(case, question), not anywhere
    yield "MODULE_NOT_ENABLED", not has or not has_required
    yield "MODULE_NOT_GRANTED", would_anywhere and not would_in_both
    yield "PLAN_FEATURE_MISSING", _lacks_feature(case, question)
    yield "WORKSPACE_SUSPENDED", state == "suspended"
    yield "DENIED_BY_RULE", has and bool(matching(case, question, here, state, "deny"))
    yield "ROLE_INSUFFICIENT", not matching(case, question, anywhere, "active", "allow")
    yield "CHILD_WORKSPACES_NOT_ALLOWED", _switched_off(case, question)


def _why_no_role(case: Case, question: Question) -> str:
    """Return the one reason why somebody has no role in a place."""
    idle = [
        row
        for above in path(case.state, question.at)
        for row in rows_of(case.state, question.subject, above)
        if not counts(row, case.now) and nodes(case, question.subject, question.at, None, alone=row)
    ]
    if any(not row["is_active"] for row in idle):
        return "MEMBERSHIP_INACTIVE"
    return "MEMBERSHIP_EXPIRED" if idle else "NOT_A_MEMBER"


def _lacks_feature(case: Case, question: Question) -> bool:
    """Tell whether the plan lacks the feature that the action needs; without plans nothing is gated."""
    feature = vocabulary(case.policy, question.kind)[question.action]
    plans = case.policy.catalog.get("plans", {})
    if feature is None or not plans:
        return False
    row = subscription(case.state, question.at)
    return row is None or feature not in plans.get(row["plan"], {}).get("features", [])


def _switched_off(case: Case, question: Question) -> bool:
    """Tell whether the question is to create a child where that is expressly switched off."""
    creates = question.kind == "workspace" and question.action == "create_child"
    return creates and own(case.state, question.at).get("child_workspaces") is False


def _warnings(case: Case, question: Question) -> Iterable[str]:
    row = subscription(case.state, question.at)
    if row is not None and row["status"] in LAPSED:
        yield "SUBSCRIPTION_EXPIRED"
    if question.required_module not in {"", "core", *case.policy.catalog.get("modules", {})}:
        yield "UNKNOWN_MODULE"


def _blocker(case: Case, question: Question, reason: str) -> PlaceKey | None:
    """Return the nearest place whose own flag, module list, plan or rule is behind the reason."""
    state, at, module = case.state, question.at, question.module
    found: list[PlaceKey] = []
    if reason == "WORKSPACE_INACTIVE":
        found = inactive(state, at)
    elif reason == "WORKSPACE_SUSPENDED":
        found = suspended(state, at)
    elif reason == "MODULE_NOT_ENABLED":
        found = without_module(state, at, module) or without_module(state, at, question.required_module or "core")
    elif reason == "PLAN_FEATURE_MISSING":
        row = subscription(state, at)
        found = [("workspace", row["workspace_id"]) if row is not None else at]
    elif reason == "DENIED_BY_RULE":
        denies = _rule(case, question, "deny").place
        found = [above for above in path(state, at) if name_of(above) == denies]
    elif reason == "CHILD_WORKSPACES_NOT_ALLOWED":
        found = [at]
    return found[0] if found else None


def _rule(case: Case, question: Question, effect: str) -> Row:
    """Return the first row in the file that matches."""
    held = nodes(case, question.subject, question.at, question.module)
    if effect == "allow":
        held &= nodes(case, question.subject, question.at, question.required_module or "core")
    return matching(case, question, held, effective_state(case.state, question.at), effect)[0]


def _valid_until(case: Case, question: Question) -> float | None:
    """Return the first moment, of those at which a membership of the subject expires, when the allow is gone."""
    moments = {row["expires_at"] for (_, who), row in case.state.memberships.items() if who == question.subject}
    for moment in sorted(at for at in moments if at is not None and at > case.now):
        if not _allows(case._replace(now=moment), question):
            return float(moment)
    return None
