"""What one user will hold once a transaction is committed, and which of its invitations it could then no longer send.

The facts of a transaction are those before it. Rather than changing them and back - checks are reading them - the few
that matter are copied: one user, the places from one up to the platform, and what the transaction has recorded so far.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from wsauthz.model.errors import InvalidArgument, RoleCeiling
from wsauthz.model.invitations import Invitation
from wsauthz.model.places import PlaceKey
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts, Grant, held_in
from wsauthz.policy.place import Place
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import invitations as invitation_rows
from wsauthz.tenancy import membership_terms
from wsauthz.tenancy.ceiling import check_grant, until
from wsauthz.tenancy.transaction import Transaction

_OPEN = {"is_active": True, "is_suspended": False}


def facts_after(tx: Transaction, user: str, at: Place) -> Facts:
    """Return the facts about one user and the places from ``at`` upwards, as they will be.

    Every place is taken as active: this is about what somebody holds, not about the state of places.
    """
    facts = _facts_about(tx.facts, user, at)
    for kind, values in tx.changes:
        if _concerns(facts, user, kind, values):
            facts.apply(kind, {**values, **_OPEN} if kind in {"workspace", "organization"} else values)
    return facts


def revoke_unsendable(tx: Transaction, user: str, places: Iterable[PlaceKey]) -> None:
    """Revoke the user's pending invitations to the places, and to those below, that it could no longer send.

    Call it after the changes are recorded.
    """
    roots = set(places)
    for invitation in invitation_rows.pending_by(tx.connection, user, now=tx.now):
        at = tx.facts.places.get(("workspace", invitation.workspace_id))
        if at is None or not any(place.key in roots for place in at.chain):
            continue
        if not _could_send(facts_after(tx, user, at), tx.rules, tx.now, invitation):
            invitation_rows.revoke(tx.connection, invitation.id, now=tx.now)
            tx.audit("invitation", invitation.id, at.key, after={"revoked": True, "invited_by": user})
            tx.tally.invitations["revoked"] += 1


def may_send(facts: Facts, rules: Ruleset, now: datetime, invitation: Invitation) -> bool:
    """Tell whether its sender could send the invitation now, were every place active."""
    at = facts.places.get(("workspace", invitation.workspace_id))
    return at is not None and _could_send(_facts_about(facts, invitation.invited_by, at), rules, now, invitation)


def _could_send(facts: Facts, rules: Ruleset, now: datetime, invitation: Invitation) -> bool:
    """Tell whether the sender may invite and give what is offered, and whether a membership may still say that."""
    place: PlaceKey = ("workspace", invitation.workspace_id)
    sender, seconds, expires_at = invitation.invited_by, now.timestamp(), invitation.membership_expires_at
    offer: dict[str, Any] = {"role": invitation.role, "modules": invitation.modules}
    try:
        membership_terms.check_new(rules.catalog, now, "workspace", {**offer, "expires_at": expires_at})
        at = facts.places[place]
        check_grant(facts, rules, seconds, giver=sender, at=at, permissions=(), **offer, until=until(expires_at))
    except (InvalidArgument, RoleCeiling):
        return False
    return decide(facts, rules, seconds, subject=sender, place=place, resource="invitation", action="create").allowed


def _facts_about(facts: Facts, user: str, at: Place) -> Facts:
    copy = Facts()
    if user in facts.users:
        copy.apply("user", {"id": user, "is_active": facts.users[user]})
    for place in reversed(at.chain):
        _copy_place(copy, place)
        grant = facts.grants.get(user, {}).get(place)
        if grant is not None:
            copy.apply("membership", _membership(user, place.key, grant))
    return copy


def _copy_place(facts: Facts, place: Place) -> None:
    kind, identifier = place.key
    if kind == "organization":
        facts.apply("organization", {"id": identifier, "is_suspended": False})
    elif kind == "workspace":
        above = place.parent.key if place.parent else ("platform", "")
        facts.apply(
            "workspace",
            {
                "id": identifier,
                "organization_id": above[1] if above[0] == "organization" else None,
                "parent_workspace_id": above[1] if above[0] == "workspace" else None,
                "owner_user_id": place.owner,
                "modules": place.own_modules or (),
                "child_workspaces": place.child_workspaces,
                **_OPEN,
            },
        )
        if place.own_subscription is not None:
            plan, status = place.own_subscription
            facts.apply("subscription", {"workspace_id": identifier, "plan": plan, "status": status})


def _membership(user: str, place: PlaceKey, grant: Grant) -> Mapping[str, Any]:
    kind, identifier = place
    return {
        "workspace_id": identifier if kind == "workspace" else None,
        "organization_id": identifier if kind == "organization" else None,
        "user_id": user,
        **grant._asdict(),
    }


def _concerns(facts: Facts, user: str, kind: str, values: Mapping[str, Any]) -> bool:
    if kind == "membership":
        return values["user_id"] == user and held_in(values) in facts.places
    if kind == "workspace":
        return ("workspace", values["id"]) in facts.places or _above(values) in facts.places
    return kind == "organization"


def _above(values: Mapping[str, Any]) -> PlaceKey:
    """Return the place right above a workspace."""
    if values.get("parent_workspace_id") is not None:
        return ("workspace", values["parent_workspace_id"])
    if values.get("organization_id") is not None:
        return ("organization", values["organization_id"])
    return ("platform", "")
