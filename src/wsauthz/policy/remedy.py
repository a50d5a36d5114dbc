"""What would fix a denial: which RPC, where, the smallest role that would do, and who may do it."""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.errors import shown
from wsauthz.model.places import State
from wsauthz.policy import terms
from wsauthz.policy.catalog import Reason, Role
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.lookup import subjects
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question, has_module, matching
from wsauthz.policy.ruleset import Ruleset

MOST_USERS: Final = 10
"""User ids in a remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would fix the first reason of a denial; ``ask``: (resource, action, place) its doer must be allowed."""

    message: str
    method: str = ""
    place: Place | None = None
    role: str = ""
    module: str = ""
    ask: tuple[str, str, Place] | None = None


def remedy(rules: Ruleset, decision: Decision, *, resource: str, action: str, required_module: str = "") -> Remedy:
    """Return what would fix the denial."""
    reason, at = decision.reasons[0], decision.place
    if at is None:
        missing = reason is Reason.WORKSPACE_ID_MISSING
        return Remedy(message="Name the place that is meant." if missing else "Check the id: there is no such place.")
    asked, object_id = rules.action(resource, action)
    question = Question("", at, asked, object_id, required_module)
    match reason:
        case Reason.USER_INACTIVE:
            fix = Remedy(message="The application must reactivate the user.", method="UserService/UpsertUser")
        case Reason.WORKSPACE_INACTIVE | Reason.WORKSPACE_SUSPENDED:
            fix = _state(reason, decision.blocked_by or at)
        case Reason.MODULE_NOT_ENABLED | Reason.MODULE_NOT_GRANTED:
            fix = _module(rules, reason, decision, question)
        case Reason.PLAN_FEATURE_MISSING:
            fix = _plan(rules, decision, question)
        case Reason.DENIED_BY_RULE:
            line = decision.rule.line if decision.rule else 0
            fix = Remedy(message=f"A rule denies this (policy.csv line {line}); only a change of the policy lifts it.")
        case Reason.CHILD_WORKSPACES_NOT_ALLOWED:
            fix = Remedy(
                message="Switch the feature child_workspaces on.",
                method="WorkspaceService/UpdateWorkspace",
                place=at,
                ask=("workspace", "update", at),
            )
        case _:
            fix = _membership(rules, reason, question)
    return fix


def helpers(facts: Facts, rules: Ruleset, now: float, *, found: Remedy, asker: str) -> list[str]:
    """Return up to ten users who may do it, if the asker may list the members of the place; else none."""
    if found.ask is None or found.place is None:
        return []
    resource, action, place = found.ask
    may_list = decide(facts, rules, now, subject=asker, place=found.place.key, resource="member", action="view")
    if not may_list.allowed:
        return []
    able, _ = subjects(facts, rules, now, place=place.key, resource=resource, action=action, limit=MOST_USERS)
    return able


def smallest_role(rules: Ruleset, question: Question) -> Role | None:
    """Return the lowest-ranked assignable role that, held in the place, would allow the question in an active place."""
    for role in sorted(rules.catalog.roles.values(), key=lambda role: (role.rank, role.name)):
        if role.assignable and question.at.key[0] in role.places:
            nodes = rules.given(role.name, (), 0)
            if any(row.allows for row in matching(question, nodes, State.ACTIVE)):
                return role
    return None


def _state(reason: Reason, place: Place) -> Remedy:
    if reason is Reason.WORKSPACE_INACTIVE:
        return Remedy(
            message=f"Activate {terms.place(place.key)}.",
            method="WorkspaceStateService/ActivateWorkspace",
            place=place,
            ask=("workspace", "activate", place),
        )
    organization = place.key[0] == "organization"
    return Remedy(
        message=f"Reinstate {terms.place(place.key)}; that is asked of the place above it.",
        method="OrganizationService/ReinstateOrganization"
        if organization
        else "WorkspaceStateService/ReinstateWorkspace",
        place=place,
        ask=("child", "reinstate", place.chain[1]),
    )


def _plan(rules: Ruleset, decision: Decision, question: Question) -> Remedy:
    feature = question.action.feature
    plans = ", ".join(plan.name for plan in rules.catalog.plans.values() if feature in plan.features)
    return Remedy(
        message=f"Change to a plan with the feature {feature}: {plans}.",
        method="SettingsService/SetSubscription",
        place=decision.blocked_by or question.at,
        ask=("subscription", "set", question.at.chain[-1]),
    )


def _module(rules: Ruleset, reason: Reason, decision: Decision, question: Question) -> Remedy:
    required, at = question.required_module, question.at
    module = question.action.module
    if reason is Reason.MODULE_NOT_ENABLED:
        module = required if required and has_module(at, module) else module
        place = decision.blocked_by or at
        if module not in rules.catalog.modules:
            return Remedy(message=f"This policy has no module {shown(module)}.", module=module)
        return Remedy(
            message=f"Enable the module {module} in {terms.place(place.key)}.",
            method="SettingsService/SetModules",
            place=place,
            module=module,
            ask=("module", "set", place),
        )
    module = required if required and module == terms.CORE else module
    return Remedy(
        message=f"Add the module {module} to the membership the role comes from.",
        method="MembershipService/UpdateMember",
        place=at,
        module=module,
        ask=("member", "update", at),
    )


def _membership(rules: Ruleset, reason: Reason, question: Question) -> Remedy:
    at = question.at
    if at.key[0] == "platform":
        return Remedy(message="Roles at the platform are granted with the command: wsauthz platform grant.", place=at)
    role = smallest_role(rules, question)
    name = role.name if role else ""
    ask = ("member", "update", at)
    method = "MembershipService/UpdateMember"
    if reason is Reason.MEMBERSHIP_INACTIVE:
        message = "Reactivate the membership."
    elif reason is Reason.MEMBERSHIP_EXPIRED:
        message, method, ask = "Add the member again.", "MembershipService/AddMember", ("member", "add", at)
    elif role is None:
        return Remedy(message="No role that could be given here allows this.", place=at)
    elif reason is Reason.NOT_A_MEMBER:
        message, method, ask = f"Add the user as {name}.", "MembershipService/AddMember", ("member", "add", at)
    else:
        message = f"Give the user the role {name}."
    return Remedy(message=message, method=method, place=at, role=name, ask=ask)
