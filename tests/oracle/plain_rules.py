"""Who holds what, and which rows match: policy.md 1 read plainly.

Imports neither Casbin nor wsauthz; no rule is indexed and nothing is remembered between two questions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.plain_state import (
    PLATFORM,
    Case,
    PlaceKey,
    Policy,
    Question,
    Row,
    State,
    effective_state,
    has_module,
    own,
    path,
)


class Unknown(Exception):
    """The question names a resource type or an action that no vocabulary has: malformed, not denied."""


# --- who holds what ---------------------------------------------------------------------------------------------------


def closure(policy: Policy, nodes: Iterable[str]) -> set[str]:
    """Add everything that the nodes inherit, over any number of steps."""
    closed = set(nodes)
    while more := {below for above, below in policy.inherits if above in closed} - closed:
        closed |= more
    return closed


def gives(policy: Policy, membership: Mapping[str, Any]) -> set[str]:
    """Return the nodes a row stands for; a role that the catalog doesn't know stands for nothing at all."""
    if membership["role"] not in policy.catalog.get("roles", {}):
        return set()
    known = [name for name in membership["permissions"] if name in policy.catalog.get("permissions", {})]
    return {"role:" + membership["role"], *("perm:" + name for name in known)}


def counts(membership: Mapping[str, Any], now: float) -> bool:
    """Tell whether a row is active and unexpired."""
    return bool(membership["is_active"]) and (membership["expires_at"] is None or now < membership["expires_at"])


def counts_in(membership: Mapping[str, Any], module: str | None) -> bool:
    """Tell whether a row is good for the module (None: whatever the module); core is in every list."""
    return module in {None, "core"} or membership["modules"] is None or module in membership["modules"]


def rows_of(state: State, user: str, place: PlaceKey) -> list[Mapping[str, Any]]:
    """Return the user's membership in the place itself, if any."""
    return [state.memberships[place, user]] if (place, user) in state.memberships else []


def nodes(case: Case, user: str, place: PlaceKey, module: str | None, *, alone: Any = None) -> set[str]:
    """Return the roles and permissions that a user holds in a place, in a module (None: whatever the module).

    Level by level from the platform down, as policy.md 1 has it. With ``alone`` only that row is looked at, as if it
    were active and unexpired.
    """
    state, policy, now = case
    held: set[str] = set()
    for level in reversed(path(state, place)):
        held = {gives_below for above, gives_below in policy.flows if above in held}
        for row in rows_of(state, user, level):
            if row is alone or (alone is None and counts(row, now) and counts_in(row, module)):
                held |= gives(policy, row)
        ownership = policy.catalog.get("ownership", {}).get("role")
        if alone is None and ownership and own(state, level).get("owner_user_id") == user:
            held.add("role:" + ownership)
        held = closure(policy, held)
    if alone is None and place == PLATFORM and user in state.users and state.users[user]["is_active"]:
        held |= closure(policy, {"role:everyone"})
    return held


# --- the rules --------------------------------------------------------------------------------------------------------


def vocabulary(policy: Policy, kind: str) -> Mapping[str, str | None]:
    """Return action -> required feature of a resource type."""
    if kind in policy.core:
        return policy.core[kind]
    declared = policy.catalog.get("resources", {}).get(kind)
    if declared is None:
        raise Unknown(kind)
    return dict.fromkeys(declared["actions"], declared.get("requires_feature"))


def covers(policy: Policy, pattern: str, resource: str) -> bool:
    """Tell whether a resource pattern of a row covers what is asked about."""
    kind, _, identifier = resource.partition("/")
    if pattern == "*":
        return kind not in policy.core
    if pattern.endswith(":*"):
        module = kind.partition(":")[0] if ":" in kind else "core"
        return kind not in policy.core and module == pattern.removesuffix(":*")
    if pattern.endswith("/*"):
        return kind == pattern.removesuffix("/*")
    return pattern == f"{kind}/{identifier}"


def name_of(place: PlaceKey) -> str:
    """Return a place as rows write it."""
    return "platform" if place == PLATFORM else f"{place[0]}:{place[1]}"


def matching(case: Case, question: Question, held: set[str], in_state: str, effect: str) -> list[Row]:
    """Return the rows of an effect that match for somebody who holds the nodes, were the place in the state."""
    places = {"*", *(name_of(above) for above in path(case.state, question.at))}
    return [
        row
        for row in case.policy.rules
        if row.effect == effect
        and row.node in held
        and row.action in ("*", question.action)
        and row.state in ("any", in_state)
        and row.place in places
        and covers(case.policy, row.resource, question.resource)
    ]


def rules_allow(case: Case, question: Question) -> bool:
    """Answer what the rows alone say: some allow, no deny, in modules that the place has.

    The role by which a row allows counts in the resource's module and in the required one.
    """
    required = question.required_module or "core"
    if not all(has_module(case.state, case.policy, question.at, module) for module in (question.module, required)):
        return False
    held = nodes(case, question.subject, question.at, question.module)
    in_state = effective_state(case.state, question.at)
    allows = matching(case, question, held & nodes(case, question.subject, question.at, required), in_state, "allow")
    return bool(allows) and not matching(case, question, held, in_state, "deny")
