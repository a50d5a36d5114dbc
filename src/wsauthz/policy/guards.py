"""Route guards: named lists of reasons in the catalog, each with the answer a frontend gives for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from wsauthz.model.identifiers import is_id
from wsauthz.model.places import PlaceKey
from wsauthz.policy.catalog import Answer, Reason
from wsauthz.policy.decision import Decision, decide, obstacles
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import Question
from wsauthz.policy.reasons import blocker
from wsauthz.policy.ruleset import Ruleset

DEFAULT_GUARDS: Final = ("checkWorkspace", "check-workspace-modules", "check-if-suspended")
"""The order when the caller names none (REQ-120); those the catalog has."""

_ABOUT_MODULES: Final = frozenset({Reason.MODULE_NOT_ENABLED, Reason.MODULE_NOT_GRANTED})


@dataclass(slots=True)
class RouteDecision:
    """Whether a page may be opened; on a denial the answer to give, and the guard that gives it (empty: none did)."""

    decision: Decision
    guard: str = ""
    answer: Answer | None = None
    action: str = "view"
    """The action on the workspace that the answer is about."""


def check_route(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    subject: str,
    workspace_id: str,
    guards: Sequence[str] = (),
    required_module: str = "",
    parent_workspace_id: str = "",
) -> RouteDecision:
    """Run the guards in order, then ask workspace/view; the first that fails is the answer.

    A guard fails with the first of its reasons that applies. A guard that names CHILD_WORKSPACES_NOT_ALLOWED asks
    workspace/create_child, the others workspace/view. A guard about modules passes where no module is required.
    A malformed id, or a workspace that is no child of ``parent_workspace_id`` where that is given, is
    WORKSPACE_NOT_FOUND. However many guards are named, and however often, each action is decided once.

    Raises:
        UnknownGuard: the catalog has no such guard.

    """
    catalog = rules.catalog
    names = guards or [name for name in DEFAULT_GUARDS if name in catalog.guards]
    for name in names:
        if name not in catalog.guards:
            raise rules.unknown_guard(name)
    place = _place(facts, workspace_id, parent_workspace_id)
    decided: dict[str, Decision] = {}
    for name in dict.fromkeys(names):
        entries = catalog.guards[name]
        if not required_module and not _ABOUT_MODULES.isdisjoint(entries):
            continue
        action = "create_child" if Reason.CHILD_WORKSPACES_NOT_ALLOWED in entries else "view"
        decision = decided.get(action)
        if decision is None:
            decision = decided[action] = _obstructed(facts, rules, now, subject, place, action, required_module)
        for reason, answer in entries.items():
            if reason in decision.reasons:
                return RouteDecision(_because(decision, reason, required_module), name, answer, action)
    decision = decide(
        facts,
        rules,
        now,
        subject=subject,
        place=place,
        resource="workspace",
        action="view",
        required_module=required_module,
    )
    return RouteDecision(decision, "", None if decision.allowed else catalog.answer(decision.reasons[0]))


def _place(facts: Facts, workspace_id: str, parent_workspace_id: str) -> PlaceKey | None:
    if not workspace_id:
        return None
    key: PlaceKey = ("workspace", workspace_id)
    at = facts.places.get(key) if is_id(workspace_id) else None
    if at is None or (parent_workspace_id and at.chain[1].key != ("workspace", parent_workspace_id)):
        return ("workspace", "")  # no workspace has the empty id
    return key


def _obstructed(
    facts: Facts, rules: Ruleset, now: float, subject: str, place: PlaceKey | None, action: str, required_module: str
) -> Decision:
    """Return the decision with every obstacle as a reason, those included that a rule allows to pass."""
    decision = decide(
        facts,
        rules,
        now,
        subject=subject,
        place=place,
        resource="workspace",
        action=action,
        required_module=required_module,
    )
    if decision.place is not None and Reason.USER_INACTIVE not in decision.reasons:
        asked, _ = rules.action("workspace", action)
        question = Question(subject, decision.place, asked, "", required_module)
        decision.reasons = obstacles(facts, rules, now, question)
    return decision


def _because(decision: Decision, reason: Reason, required_module: str) -> Decision:
    """Return the denial with the guard's reason first."""
    others = tuple(other for other in decision.reasons if other is not reason)
    blocked_by = blocker(decision.place, reason, (required_module,)) if decision.place is not None else None
    return replace(decision, allowed=False, reasons=(reason, *others), blocked_by=blocked_by, valid_until=None)
