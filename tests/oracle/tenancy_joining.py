"""InvitationService on dictionaries: invitations, invite codes, and what a code leads to (product.md section 4)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.plain_state import PlaceKey
from tests.oracle.tenancy_members import why_not_say
from tests.oracle.tenancy_model import Reasons, Tenancy
from tests.oracle.tenancy_rights import above_ceiling, could_send, is_deactivated, is_pending, refused, unknown

MOST_FAILURES = 10
NOWHERE: Reasons = {"WORKSPACE_NOT_FOUND"}

# --- invitations ------------------------------------------------------------------------------------------------------


def why_not_invite(model: Tenancy, actor: str, place: PlaceKey, email: str, terms: Mapping[str, Any]) -> Reasons:
    """Return why CreateInvitation is refused; that the place is closed is a reason only when it is used."""
    if reasons := refused(model, actor, "invitation/create", place):
        return reasons
    until = terms["membership_expires_at"]
    reasons = why_not_say(model, place, {**terms, "expires_at": until})
    if not reasons:
        reasons = above_ceiling(model, actor, place, terms["role"], modules=terms["modules"], until=until)
    member = [user for user, row in model.users.items() if row["email"] == email and row["email_verified"]]
    row = model.member(place, member[0]) if member else None
    if row is not None and not model.is_expired(row):
        reasons.add("ALREADY_MEMBER")
    return reasons


def invite(model: Tenancy, invitation_id: str, invitation: Mapping[str, Any]) -> None:
    """Write an invitation down; an earlier one of the same address is dead."""
    same = (invitation["workspace_id"], invitation["email"])
    for other in model.invitations.values():
        if (other["workspace_id"], other["email"]) == same and is_pending(other):
            other["status"] = "dead"
    model.invitations[invitation_id] = {**invitation, "status": "open", "accepted_by": None, "sent": model.tick()}


def why_not_revoke(model: Tenancy, actor: str, place: PlaceKey, invitation_id: str) -> Reasons:
    """Return why RevokeInvitation is refused."""
    if reasons := refused(model, actor, "invitation/revoke", place):
        return reasons
    invitation = model.invitations.get(invitation_id)
    if invitation is None or invitation["workspace_id"] != place[1]:
        return {"INVITATION_NOT_FOUND"}
    return {"INVITATION_USED"} if invitation["status"] == "accepted" else set()


def why_not_accept(model: Tenancy, actor: str, invitation: Mapping[str, Any] | None) -> Reasons:
    """Return why AcceptInvitation is refused."""
    if is_deactivated(model, actor):
        return {"USER_INACTIVE"}
    if model.failures[actor] >= MOST_FAILURES:
        return {"TOO_MANY_ATTEMPTS"}
    if invitation is None or invitation["status"] == "dead" or invitation["workspace_id"] not in model.workspaces:
        return {"INVITATION_NOT_FOUND"}
    place: PlaceKey = ("workspace", invitation["workspace_id"])
    reasons: Reasons = set()
    user = model.users.get(actor)
    if user is None or user["email"] != invitation["email"] or not user["email_verified"]:
        reasons.add("INVITATION_EMAIL_MISMATCH")
    if invitation["status"] == "accepted":
        return reasons | {"INVITATION_USED"}
    if not is_pending(invitation):
        reasons.add("INVITATION_EXPIRED")
    if not could_send(model, invitation):
        reasons.add("INVITATION_NOT_FOUND")
    reasons |= _why_not_again(model, actor, place, invitation) | model.has_room_for(place)
    row, roof = model.member(place, actor), model.roof(place)
    if roof is not None and (row is None or model.is_expired(row)):
        reasons |= _why_not_again(model, actor, roof, invitation)
    return reasons


def _why_not_again(model: Tenancy, actor: str, place: PlaceKey, invitation: Mapping[str, Any]) -> Reasons:
    """Return why an invitation is no way into a place for somebody who was, or is, there; a later one may be."""
    row = model.member(place, actor)
    if row is None:
        return {"REMOVED"} if model.removed.get((place, actor), 0) > invitation["sent"] else set()
    return set() if row["is_active"] else {"MEMBERSHIP_INACTIVE"}


def accept(model: Tenancy, actor: str, invitation: dict[str, Any]) -> bool:
    """Spend an invitation; return whether the actor was a member before, and keeps its role."""
    place: PlaceKey = ("workspace", invitation["workspace_id"])
    invitation |= {"status": "accepted", "accepted_by": actor}
    row = model.member(place, actor)
    if row is not None and not model.is_expired(row):
        return True
    if row is not None:
        model.close(row, None)
    terms = {"modules": invitation["modules"], "expires_at": invitation["membership_expires_at"]}
    model.enrol(place, actor, invitation["role"], **terms)
    return False


# --- codes ------------------------------------------------------------------------------------------------------------


def led_to(model: Tenancy, code: str) -> list[str]:
    """Return the workspaces that a code leads to: several, of which one is to be chosen, one, or none."""
    code = code.strip()
    methods = model.policy.catalog.get("joining", {}).get("methods", ["invite_code"])
    typed = re.sub("[- ]", "", code).upper()
    if "invite_code" in methods and (found := [key for key, value in model.codes.items() if value == (typed, True)]):
        return found
    named = [part.strip() for part in re.split("[/:]", code) if part.strip()]
    if code.startswith("workspace_"):
        found = [code] if code in model.workspaces and "workspace_id" in methods else []
    elif len(named) == 2:
        found = _in_organization(model, named[0], named[1:]) if "organization_workspace" in methods else []
    elif code in model.workspaces and "workspace_id" in methods:
        found = [code]
    else:
        found = _in_organization(model, code, None) if "organization" in methods else []
    return [key for key in found if model.codes[key][1]]


def _in_organization(model: Tenancy, organization: str, workspace: Iterable[str] | None) -> list[str]:
    names = [key for key, row in model.organizations.items() if organization in {key, row["slug"]}]
    inside = [key for name in names for key in model.below(("organization", name))]
    if workspace is None:
        return [key for key in inside if not model.has_room_for(("workspace", key))]
    return [key for key in inside if {key, model.workspaces[key]["slug"]} & set(workspace)]


def why_not_join(model: Tenancy, actor: str, code: str) -> Reasons:
    """Return why JoinByCode is refused; to select among several is no refusal."""
    if is_deactivated(model, actor):
        return {"USER_INACTIVE"}
    if model.failures[actor] >= MOST_FAILURES:
        return {"TOO_MANY_ATTEMPTS"}
    if not code.strip():
        return {"INVALID_CODE"}
    found = led_to(model, code)
    if not found:
        return set(NOWHERE)
    if len(found) > 1:
        return set()
    place: PlaceKey = ("workspace", found[0])
    row = model.member(place, actor)
    reasons = model.has_room_for(place) | _why_not_back(model, actor, place)
    reasons |= unknown(model, actor) if row is None else set()
    roof = model.roof(place)
    if row is None and roof is not None:
        reasons |= _why_not_back(model, actor, roof)
    return reasons


def _why_not_back(model: Tenancy, actor: str, place: PlaceKey) -> Reasons:
    """Return why a code is no way into a place for somebody who was, or is, there."""
    row = model.member(place, actor)
    if row is None:
        return {"REMOVED"} if (place, actor) in model.removed else set()
    if not row["is_active"]:
        return {"MEMBERSHIP_INACTIVE"}
    return {"MEMBERSHIP_EXPIRED"} if model.is_expired(row) else set()


def join(model: Tenancy, actor: str, key: str) -> bool:
    """Let somebody into a workspace by a code; return whether it was in there before, and keeps its role."""
    place: PlaceKey = ("workspace", key)
    if model.member(place, actor) is not None:
        return True
    model.enrol(place, actor, model.policy.catalog["defaults"]["workspace"])
    return False
