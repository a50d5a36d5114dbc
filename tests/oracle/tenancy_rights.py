"""Whether a call may be made: the question its RPC asks (formats.md A), and the ceiling (product.md section 3)."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.plain_rules import closure, counts_in, gives, nodes
from tests.oracle.plain_state import PLATFORM, PlaceKey, exists, path
from tests.oracle.tenancy_model import Reasons, Tenancy

NOT_FOUND = {"workspace": "WORKSPACE_NOT_FOUND", "organization": "ORGANIZATION_NOT_FOUND"}
NOWHERE = "*"
"""A module that no list names: what is held in it is held without a list."""


def refused(
    model: Tenancy, actor: str, question: str, place: PlaceKey, *, target: PlaceKey | None = None, module: str = ""
) -> Reasons:
    """Return why the actor may not, in the words of a management RPC; ``target`` is what it names, if not the place.

    One who may not view what it names is told no more than that it is not there.
    """
    if is_deactivated(model, actor):
        return {"USER_INACTIVE"}
    named = target or place
    if not exists(model, named):
        return {NOT_FOUND[named[0]]}
    decision = model.ask(actor, place, question, module=module)
    if decision.allowed:
        return set()
    if named != PLATFORM and not model.may(actor, named, f"{named[0]}/view"):
        return {NOT_FOUND[named[0]]}
    return {decision.reasons[0]}


def unknown(model: Tenancy, user: str) -> Reasons:
    """Return the refusal to give something to an id that was never mirrored, or whose account was deleted."""
    return set() if user in model.users else {"USER_NOT_FOUND"}


def not_addable(model: Tenancy, actor: str, place: PlaceKey, user: str) -> Reasons:
    """Return why the actor may not add somebody by an id, of whom it need not know that there is such a user."""
    by_id = model.policy.catalog.get("joining", {}).get("add_by_id", "anybody")
    if by_id == "anybody" or (by_id == "visible" and visible(model, actor, place, user)):
        return unknown(model, user)
    return {"USER_NOT_FOUND"}


def visible(model: Tenancy, actor: str, place: PlaceKey, user: str) -> bool:
    """Tell whether the actor may know of a user: itself, who is or was here or above, who is where it lists members."""
    if actor == user or model.may(actor, PLATFORM, "user/view"):
        return True
    if any(model.ever[above, user] for above in path(model, place) if above != PLATFORM):
        return True
    inside = [where for where, who in model.memberships if who == user]
    owned: list[PlaceKey] = [
        ("workspace", key) for key, row in model.workspaces.items() if row["owner_user_id"] == user
    ]
    return any(model.may(actor, where, "member/view") for where in inside + owned)


def is_deactivated(model: Tenancy, user: str) -> bool:
    """Tell whether the application has deactivated the account."""
    return model.users.get(user, {}).get("is_active") is False


def above_ceiling(
    model: Tenancy,
    giver: str,
    place: PlaceKey,
    role: str,
    *,
    permissions: Iterable[str] = (),
    modules: Iterable[str] | None,
    until: float | None,
) -> Reasons:
    """Return the refusal if the giver does not hold as much as this, in each of the modules and until it expires."""
    listed, named = [*permissions], (NOWHERE,) if modules is None else ("core", *modules)
    for now in (None, *model.later(giver, place, until)):
        for module in named:
            held = model.nodes(giver, place, module, now=now)
            if model.rank(held) < model.rank_of(role):
                return {"ROLE_CEILING"}
            if not all(may_give(model, held, place, permission) for permission in listed):
                return {"ROLE_CEILING"}
    return set()


def ends(model: Tenancy, actor: str, place: PlaceKey, question: str) -> Reasons:
    """Return the refusal if the actor's right to make somebody an owner expires some time."""
    lasts = all(model.may(actor, place, question, now=end) for end in model.later(actor, place))
    return set() if lasts else {"ROLE_CEILING"}


def may_give(model: Tenancy, held: set[str], place: PlaceKey, permission: str) -> bool:
    """Tell whether a permission is held, or is part of a role that the holder may give here anyway."""
    node = f"perm:{permission}"
    roles = model.policy.catalog["roles"].items()
    within = [
        name
        for name, role in roles
        if role.get("assignable", True) and place[0] in role["places"] and role["rank"] <= model.rank(held)
    ]
    return node in held or any(node in closure(model.policy, {f"role:{name}"}) for name in within)


def untouchable(model: Tenancy, actor: str, place: PlaceKey, row: Mapping[str, Any]) -> Reasons:
    """Return the refusal if the member is above the actor; its own role counts even while it gives nothing."""
    theirs = max(model.rank(model.nodes(row["user_id"], place)), model.rank_of(row["role"]))
    return {"ROLE_CEILING"} if model.rank(model.nodes(actor, place)) < theirs else set()


def acts_as_platform(model: Tenancy, actor: str, place: PlaceKey, user: str) -> bool:
    """Tell whether what the actor holds at the platform is, down here, as much as the user is."""
    row = model.member(PLATFORM, actor)
    if row is None or actor == user or not counts_in(row, None) or not gives(model.policy, row):
        return False
    given = nodes(model.case, actor, place, None, alone=row)
    return bool(row["is_active"]) and model.rank(given) >= model.rank(model.nodes(user, place))


def could_send(model: Tenancy, invitation: Mapping[str, Any]) -> bool:
    """Tell whether the sender of an invitation could send it today, whatever state the places are in."""
    place, sender = ("workspace", invitation["workspace_id"]), invitation["invited_by"]
    before = [(row, dict(row)) for table in (model.organizations, model.workspaces) for row in table.values()]
    for row, _ in before:
        row.update({"is_active": True, "is_suspended": False})
    try:
        until = invitation["membership_expires_at"]
        ceiling = above_ceiling(model, sender, place, invitation["role"], modules=invitation["modules"], until=until)
        return model.may(sender, place, "invitation/create") and not ceiling
    finally:
        for row, values in before:
            row.clear()
            row.update(values)


def revoke_unsendable(model: Tenancy, user: str, place: PlaceKey) -> None:
    """Kill the user's pending invitations to a place, and to those below, that it could no longer send."""
    theirs = [each for each in model.invitations.values() if each["invited_by"] == user and is_pending(each)]
    for invitation in theirs:
        if place in path(model, ("workspace", invitation["workspace_id"])) and not could_send(model, invitation):
            invitation["status"] = "dead"


def is_pending(invitation: Mapping[str, Any]) -> bool:
    """Tell whether an invitation can still be accepted, as far as it itself says."""
    return bool(invitation["status"] == "open" and time.time() < invitation["expires_at"])
