"""MembershipService, TransferOwnership and DeleteAccount on dictionaries: why a call is refused, and what it does."""

import time
from collections.abc import Mapping
from typing import Any, Final

from tests.oracle.plain_rules import counts
from tests.oracle.plain_state import PlaceKey, place_of
from tests.oracle.tenancy_model import Reasons, Tenancy
from tests.oracle.tenancy_rights import (
    above_ceiling,
    acts_as_platform,
    ends,
    is_deactivated,
    is_pending,
    not_addable,
    refused,
    revoke_unsendable,
    unknown,
    untouchable,
)

NOBODY: Final = "nobody"
"""Who has removed those who could not have left by themselves."""

# --- adding -----------------------------------------------------------------------------------------------------------


def why_not_offer(model: Tenancy, actor: str, place: PlaceKey, terms: Mapping[str, Any]) -> Reasons:
    """Return why nobody can be added with these terms."""
    given = {"permissions": terms["permissions"], "modules": terms["modules"], "until": terms["expires_at"]}
    return refused(model, actor, "member/add", place) or (
        why_not_say(model, place, terms)
        | model.has_room_for(place)
        | above_ceiling(model, actor, place, terms["role"], **given)
    )


def why_not_add(model: Tenancy, actor: str, place: PlaceKey, user: str, terms: Mapping[str, Any]) -> Reasons:
    """Return why AddMember is refused."""
    reasons = why_not_offer(model, actor, place, terms)
    reasons = reasons or not_addable(model, actor, place, user)
    row = model.member(place, user) if not reasons else None
    if row is not None and not model.is_expired(row):
        return {"ALREADY_MEMBER"}
    roof = model.roof(place) if not reasons else None
    above = model.member(roof, user) if roof is not None and roof != place else None
    return reasons | ({"MEMBERSHIP_INACTIVE"} if above is not None and not above["is_active"] else set())


def why_not_say(model: Tenancy, place: PlaceKey, terms: Mapping[str, Any]) -> Reasons:
    """Return why no membership in the place may say this."""
    role = model.policy.catalog["roles"][terms["role"]]
    if not role.get("assignable", True) or place[0] not in role["places"]:
        return {"UNKNOWN_ROLE"}
    limited = terms["modules"] is not None or terms["expires_at"] is not None
    return {"INVALID_ARGUMENT"} if limited and model.is_owner_like(terms["role"]) else set()


def add(model: Tenancy, place: PlaceKey, user: str, terms: Mapping[str, Any]) -> None:
    """Make somebody a member; an expired membership is replaced."""
    row = model.member(place, user)
    if row is not None:
        model.close(row, None)
    model.enrol(place, user, **terms)


# --- changing ---------------------------------------------------------------------------------------------------------


def why_not_update(model: Tenancy, actor: str, place: PlaceKey, user: str, values: Mapping[str, Any]) -> Reasons:
    """Return why UpdateMember is refused."""
    if reasons := refused(model, actor, "member/update", place):
        return reasons
    old = model.member(place, user)
    if old is None:
        return {"MEMBER_NOT_FOUND"}
    new = {**old, **values}
    if new == old:
        return set()
    reasons = why_not_say(model, place, new) if new["role"] != old["role"] or _limits(values) else set()
    if actor == user and _sooner(old["expires_at"], new["expires_at"]):
        reasons.add("ROLE_CEILING")  # nobody puts off its own end
    if ends_ownership(model, old, new):
        reasons |= why_owner_stays(model, actor, place, user, old["role"])
    elif says_less(model, old, new):
        reasons |= why_protected(model, actor, place, user)
    return reasons | untouchable(model, actor, place, old) | _above_what_is_given(model, actor, place, old, new)


def update(model: Tenancy, place: PlaceKey, user: str, values: Mapping[str, Any]) -> None:
    """Change a membership."""
    old = model.memberships[place, user]
    new = {**old, **values}
    if new == old:
        return
    if ends_ownership(model, old, new):
        pass_on(model, place, user)
    model.put("membership", {**new, "is_derived": False})
    if says_less(model, old, new) or new["role"] != old["role"]:
        revoke_unsendable(model, user, place)


def ends_ownership(model: Tenancy, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether somebody is deactivated or no longer an owner."""
    demoted = model.is_owner_like(old["role"]) and not model.is_owner_like(new["role"])
    return demoted or bool(old["is_active"] and not new["is_active"])


def says_less(model: Tenancy, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether anything is taken away."""
    return (
        bool(old["is_active"] and not new["is_active"])
        or model.rank_of(new["role"]) < model.rank_of(old["role"])
        or not set(old["permissions"]) <= set(new["permissions"])
        or _narrower(new["modules"], old["modules"])
        or _sooner(new["expires_at"], old["expires_at"])
    )


def _above_what_is_given(
    model: Tenancy, actor: str, place: PlaceKey, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Reasons:
    """Return the refusal if the actor does not hold what the member gets; waking, widening, prolonging give it all."""
    gets_all = (
        bool(new["is_active"] and not old["is_active"])
        or _narrower(old["modules"], new["modules"])
        or _sooner(old["expires_at"], new["expires_at"])
    )
    given = [name for name in new["permissions"] if gets_all or name not in old["permissions"]]
    is_raised = new["role"] != old["role"] and model.rank_of(new["role"]) >= model.rank_of(old["role"])
    if not (gets_all or given or is_raised):
        return set()
    until = new["expires_at"]
    ceiling = above_ceiling(model, actor, place, new["role"], permissions=given, modules=new["modules"], until=until)
    return ceiling | unknown(model, new["user_id"])


def _limits(values: Mapping[str, Any]) -> bool:
    return values.get("modules") is not None or values.get("expires_at") is not None


def _narrower(one: list[str] | None, other: list[str] | None) -> bool:
    return one is not None and (other is None or not set(other) <= set(one))


def _sooner(one: float | None, other: float | None) -> bool:
    return one is not None and (other is None or one < other)


# --- owners -----------------------------------------------------------------------------------------------------------


def why_protected(model: Tenancy, actor: str, place: PlaceKey, user: str) -> Reasons:
    """Return why the only owner of a workspace keeps its membership as it is."""
    is_only = not model.is_shared and model.owner(place) == user
    return {"PRIMARY_OWNER"} if is_only and not acts_as_platform(model, actor, place, user) else set()


def why_owner_stays(model: Tenancy, actor: str, place: PlaceKey, user: str, role: str) -> Reasons:
    """Return why somebody who has the role in a place cannot cease to be a member, or an owner, there."""
    if reasons := why_protected(model, actor, place, user):
        return reasons
    is_owner = role in model.owner_roles(place[0])
    if place[0] == "workspace":
        is_owner = model.is_shared and model.owner(place) == user
    return {"LAST_OWNER"} if is_owner and model.other_owner(place, user) is None else set()


def pass_on(model: Tenancy, place: PlaceKey, user: str) -> None:
    """Make the longest-standing other owner of a workspace the primary one, if owners are equals."""
    if place[0] == "workspace" and model.is_shared and model.owner(place) == user:
        model.workspaces[place[1]]["owner_user_id"] = model.other_owner(place, user)


# --- removing ---------------------------------------------------------------------------------------------------------


def why_not_remove(model: Tenancy, actor: str, place: PlaceKey, user: str) -> Reasons:
    """Return why RemoveMember is refused."""
    if reasons := refused(model, actor, "member/remove", place):
        return reasons
    row = model.member(place, user)
    if row is None:
        return {"MEMBER_NOT_FOUND"}
    if actor == user:
        return {"CANNOT_REMOVE_SELF"}
    return _why_not_go(model, actor, place, user) | untouchable(model, actor, place, row)


def why_not_leave(model: Tenancy, actor: str, place: PlaceKey) -> Reasons:
    """Return why Leave is refused."""
    row = model.member(place, actor)
    is_free = row is not None and row["added_by"] != actor and not model.held_besides(actor, place, row)
    if reasons := {"USER_INACTIVE"} & refused(model, actor, f"{place[0]}/leave", place):
        return reasons
    if not is_free and (reasons := refused(model, actor, f"{place[0]}/leave", place)):
        return reasons
    if row is None:
        return {"MEMBER_NOT_FOUND"}
    return _why_not_go(model, actor, place, actor)


def remove(model: Tenancy, actor: str, place: PlaceKey, user: str) -> None:
    """End a membership; of an organization: those in its workspaces, too."""
    going = [(where, model.member(where, user)) for where in _with(model, place, user)]
    stuck = [where for where, row in going if row is not None and actor == user and not may_return(model, row)]
    for where, row in going:
        pass_on(model, where, user)
        if row is not None:
            model.close(row, NOBODY if where in stuck else actor)
    revoke_unsendable(model, user, place)


def may_return(model: Tenancy, row: Mapping[str, Any]) -> bool:
    """Tell whether a code lets somebody in again, who could have left by itself and would not have more than before."""
    place, user = place_of(row), row["user_id"]
    if not counts(row, time.time()):
        return False
    if place[0] != "platform":
        joined_as = model.policy.catalog["defaults"][place[0]]
        unlimited = row["modules"] is None and row["expires_at"] is None
        if not unlimited or model.rank_of(row["role"]) < model.rank_of(joined_as):
            return False
    free = place[0] == "platform" or is_deactivated(model, user)
    return free or model.ask(user, place, f"{place[0]}/leave").allowed


def _why_not_go(model: Tenancy, actor: str, place: PlaceKey, user: str) -> Reasons:
    reasons: Reasons = set()
    for where in _with(model, place, user):
        role = (model.member(where, user) or {"role": ""})["role"]
        reasons |= why_owner_stays(model, actor, where, user, role)
    return reasons


def _with(model: Tenancy, place: PlaceKey, user: str) -> list[PlaceKey]:
    """Return the places that somebody leaves together with one: an organization's workspaces."""
    if place[0] != "organization":
        return [place]
    inside: list[PlaceKey] = [("workspace", key) for key in model.below(place)]
    return [each for each in inside if model.member(each, user) or model.owner(each) == user] + [place]


# --- passing ownership on ---------------------------------------------------------------------------------------------


def why_not_transfer(model: Tenancy, actor: str, place: PlaceKey, user: str) -> Reasons:
    """Return why TransferOwnership is refused."""
    if reasons := refused(model, actor, "workspace/transfer", place):
        return reasons
    reasons = set()
    owner = model.owner(place) or ""
    if actor != owner and not acts_as_platform(model, actor, place, owner):
        reasons.add("ROLE_INSUFFICIENT")
    reasons |= ends(model, actor, place, "workspace/transfer")
    if user == owner:
        reasons.add("ALREADY_OWNER")
    row = model.member(place, user)
    if row is None or not row["is_active"] or model.is_expired(row) or is_deactivated(model, user):
        reasons.add("MEMBER_NOT_FOUND")
    return reasons | unknown(model, user)


def transfer(model: Tenancy, place: PlaceKey, user: str) -> None:
    """Make a member the primary owner with the creator's role; the former one gets the role for that."""
    before = model.owner(place) or ""
    defaults = model.policy.catalog["defaults"]
    model.workspaces[place[1]]["owner_user_id"] = user
    give_role(model, model.memberships[place, user], defaults["creator"], modules=None, expires_at=None)
    if (former := model.member(place, before)) is not None:
        give_role(model, former, defaults["former_owner"])
    revoke_unsendable(model, before, place)
    revoke_unsendable(model, user, place)


def give_role(model: Tenancy, row: Mapping[str, Any], role: str, **more: Any) -> None:
    """Give a membership another role; that of an owner has no limits."""
    free = {"modules": None, "expires_at": None} if model.is_owner_like(role) else {}
    model.put("membership", {**row, "role": role, **more, **free})


# --- deleting an account ----------------------------------------------------------------------------------------------


def delete_account(model: Tenancy, user: str) -> tuple[bool, int, int, int]:
    """Delete everything that DeleteAccount deletes; return what it answers."""
    before = len(model.workspaces)
    organizations = [
        place
        for (place, who), row in model.memberships.items()
        if who == user and place[0] == "organization" and _owns_alone(model, place, row)
    ]
    existed = user in model.users or any(who == user for _, who in model.memberships)
    stuck = [place for (place, who), row in model.memberships.items() if who == user and not may_return(model, row)]
    for place in organizations:
        model.delete_organization(place[1])
    transferred = [place for place in _owned(model, user) if _leave_to_heir(model, place, user)]
    for row in [row for (_, who), row in model.memberships.items() if who == user]:
        model.close(row, NOBODY if place_of(row) in stuck else None)
    address = model.users.get(user, {"email_verified": False})
    for invitation in model.invitations.values():
        theirs = address["email_verified"] and invitation["email"] == address["email"]
        if is_pending(invitation) and (theirs or invitation["invited_by"] == user):
            invitation["status"] = "dead"
    model.users.pop(user, None)
    deleted = before - len(model.workspaces)
    return existed or deleted > 0, len(organizations), deleted, len(transferred)


def _owns_alone(model: Tenancy, place: PlaceKey, row: Mapping[str, Any]) -> bool:
    is_owner = row["role"] in model.owner_roles("organization") and counts(row, time.time())
    return is_owner and model.other_owner(place, row["user_id"]) is None


def _owned(model: Tenancy, user: str) -> list[PlaceKey]:
    keys = [key for key, row in model.workspaces.items() if row["owner_user_id"] == user]
    return [("workspace", key) for key in sorted(keys, key=model.depth)]


def _leave_to_heir(model: Tenancy, place: PlaceKey, user: str) -> bool:
    """Pass a workspace of a deleted account on, or delete it; return whether it passed on."""
    if place[1] not in model.workspaces:
        return False  # it went with one above
    heir = None
    if model.policy.catalog["ownership"]["on_account_deletion"] == "transfer":
        roof = model.roof(place)
        heir = model.other_owner(place, user) or (model.other_owner(roof, user) if roof else None)
    if heir is None:
        model.delete_workspaces(model.below(place))
        return False
    model.workspaces[place[1]]["owner_user_id"] = heir
    role, row = model.policy.catalog["defaults"]["creator"], model.member(place, heir)
    if row is None:
        model.enrol(place, heir, role)
    elif row["role"] not in model.owner_roles("workspace") or not counts(row, time.time()):
        give_role(model, row, role, is_active=True, modules=None, expires_at=None)
    return True
