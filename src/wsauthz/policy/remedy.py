"""Remedies: the RPC that would fix a denial, its place, and all that it gives; here those about places.

A sentence names everybody who is allowed more afterwards, because somebody is to decide whether that is wanted.
"""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.errors import shown
from wsauthz.model.places import State
from wsauthz.policy import terms
from wsauthz.policy.membership_changes import Change
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question, has_module
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.terms import CORE

UNKNOWN_USER: Final = "UNKNOWN_USER"
"""Warns that the application has not mirrored the user, who can be given nothing before that."""
ROLE_UNKNOWN: Final = "ROLE_UNKNOWN"
"""Warns that a membership names a role that the bundle lacks, and so gives nothing."""

Ask = tuple[str, str, Place]
"""Resource, action and place of a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would fix the first reason of a denial."""

    message: str
    method: str = ""
    place: Place | None = None
    role: str = ""
    permission: str = ""
    module: str = ""
    plan: str = ""
    fields: tuple[str, ...] = ()
    """Of UpdateMember: what is changed, as its update mask names it."""
    warning: str = ""
    asks: tuple[Ask, ...] = ()
    """Questions that its doer must be allowed; empty: nobody does it through this API."""
    change: Change | None = None
    """The membership that its doer changes or makes."""


def states_to_come(at: Place) -> tuple[State, ...]:
    """Return the states that a place gets into as the flags that stop it are lifted, inactive ones first."""
    is_suspended = any(place.is_suspended for place in at.chain)
    match at.state:
        case State.INACTIVE:
            return (State.SUSPENDED, State.ACTIVE) if is_suspended else (State.ACTIVE,)
        case State.SUSPENDED:
            return (State.ACTIVE,)
        case _:
            return ()


def state_remedy(at: Place, wanted: State = State.ACTIVE) -> Remedy:
    """Return the first step towards a state to come: what lifts the flag of the nearest place that stops it."""
    place = at.blocked_by or at
    name = terms.place(place.key)
    others = [text for text in _stopping(at, wanted) if text != _stopped(place, at.state)]
    more = f" This alone is not enough: {', '.join(others)}." if others else ""
    if at.state is State.INACTIVE:
        return Remedy(
            message=f"Activate {name}, for everybody there and below it.{more}",
            method="WorkspaceStateService/ActivateWorkspace",
            place=place,
            asks=(("workspace", "activate", place),),
        )
    is_organization = place.key[0] == "organization"
    return Remedy(
        message=f"Reinstate {name}, for everybody there and below it (requires permission in its parent).{more}",
        method="OrganizationService/ReinstateOrganization"
        if is_organization
        else "WorkspaceStateService/ReinstateWorkspace",
        place=place,
        asks=(("child", "reinstate", place.parent or place),),
    )


def _stopping(at: Place, wanted: State) -> list[str]:
    """Return every flag that keeps a place from the state, the nearest first."""
    inactive = [_stopped(place, State.INACTIVE) for place in at.chain if not place.is_active]
    suspended = [_stopped(place, State.SUSPENDED) for place in at.chain if place.is_suspended]
    return inactive + (suspended if wanted is State.ACTIVE else [])


def _stopped(place: Place, state: State) -> str:
    return f"{terms.place(place.key)} is {state.name.lower()}"


def module_remedy(rules: Ruleset, question: Question) -> Remedy:
    """Return what gives the place a module that it lacks: first its plan, then the highest place, must have it."""
    lacking = [name for name in question.modules if name and not _has(rules, question.at, name)]
    module = lacking[0]
    if module not in rules.catalog.modules:
        return Remedy(message=f"This policy has no module {shown(module)}.", module=module)
    places = [each for each in question.at.chain if each.own_modules is not None and module not in each.own_modules]
    place = places[-1]
    name = terms.place(place.key)
    if not _plan_includes(rules, place, module):
        plans = [plan.name for plan in rules.catalog.plans.values() if plan.modules is None or module in plan.modules]
        return _plan(place, plans, f"the module {module}", f" Then enable the module in {name}.", module)
    return Remedy(
        message=f"Enable the module {module} in {name}, for everybody there and below it.",
        method="SettingsService/SetModules",
        place=place,
        module=module,
        asks=(("module", "set", place),),
    )


def plan_remedy(rules: Ruleset, question: Question) -> Remedy:
    """Return which plans have the feature that the place's plan lacks."""
    feature = question.action.feature
    plans = [plan.name for plan in rules.catalog.plans.values() if feature in plan.features]
    return _plan(question.at, plans, f"the feature {feature}")


def children_remedy(at: Place) -> Remedy:
    """Return what allows child workspaces again."""
    return Remedy(
        message="Switch the feature child_workspaces on, for everybody there (requires permission in its parent, too).",
        method="WorkspaceService/UpdateWorkspace",
        place=at,
        asks=(("workspace", "update", at), ("child", "set_features", at.parent or at)),
    )


def _has(rules: Ruleset, at: Place, module: str) -> bool:
    return module == CORE or (module in rules.catalog.modules and has_module(at, module))


def _plan_includes(rules: Ruleset, at: Place, module: str) -> bool:
    plan = rules.catalog.plans.get(at.subscription[0]) if at.subscription else None
    return plan is None or plan.modules is None or module in plan.modules


def _plan(at: Place, plans: list[str], what: str, then: str = "", module: str = "") -> Remedy:
    """Return a change of the nearest subscription, or the first one of the place."""
    place = next((each for each in at.chain if each.own_subscription), at)
    if not plans:
        return Remedy(message=f"No plan of this policy has {what}.")
    if place.key[0] != "workspace":
        return Remedy(message=f"Only workspaces have plans, and so {what}.")
    name = terms.place(place.key)
    return Remedy(
        message=f"Change {name}, for everybody there and below it, to a plan with {what}: {', '.join(plans)}.{then}",
        method="SettingsService/SetSubscription",
        place=place,
        module=module,
        plan=plans[0],
        asks=(("subscription", "set", place.chain[-1]),),
    )
