"""What one user will hold once a transaction is committed, and which of its invitations it could then no longer send.

The facts of a transaction are those before it. Rather than changing them and back - checks are reading them - the few
that matter are copied: one user, the places from one up to the platform, and what the transaction has recorded so far.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wsauthz.model.errors import RoleCeiling
from wsauthz.model.invitations import Invitation
from wsauthz.model.places import PlaceKey
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts, Grant, Place
from wsauthz.store import invitations as invitation_rows
from wsauthz.tenancy.ceiling import check_grant
from wsauthz.tenancy.transaction import Transaction

_OPEN = {"is_active": True, "is_suspended": False}


def facts_after(tx: Transaction, user: str, at: Place) -> Facts:
    """Return the facts about one user and the places from ``at`` upwards, as they will be.

    Every place is taken as active: this is about what somebody holds, not about the state of places.
    """
    facts = Facts()
    if user in tx.facts.users:
        facts.apply("user", {"id": user, "is_active": tx.facts.users[user]})
    for place in reversed(at.chain):
        _copy_place(facts, place)
        grant = tx.facts.grants.get(user, {}).get(place)
        if grant is not None:
            facts.apply("membership", _membership(user, place.key, grant))
    for kind, values in tx.changes:
        if _concerns(facts, user, kind, values):
            facts.apply(kind, {**values, **_OPEN} if kind in {"workspace", "organization"} else values)
    return facts


def revoke_unsendable(tx: Transaction, user: str, places: Iterable[PlaceKey]) -> int:
    """Revoke the user's pending invitations to the places, and to those below, that it could no longer send.

    Call it after the changes are recorded; returns how many went.
    """
    roots = set(places)
    revoked = 0
    for invitation in invitation_rows.pending_by(tx.connection, user, now=tx.now):
        at = tx.facts.places.get(("workspace", invitation.workspace_id))
        if at is None or not any(place.key in roots for place in at.chain):
            continue
        if not _may_send(tx, facts_after(tx, user, at), user, invitation):
            invitation_rows.revoke(tx.connection, invitation.id, now=tx.now)
            revoked += 1
    return revoked


def _may_send(tx: Transaction, facts: Facts, user: str, invitation: Invitation) -> bool:
    place: PlaceKey = ("workspace", invitation.workspace_id)
    now = tx.now.timestamp()
    asked = decide(facts, tx.rules, now, subject=user, place=place, resource="invitation", action="create")
    try:
        check_grant(
            facts,
            tx.rules,
            now,
            giver=user,
            at=facts.places[place],
            role=invitation.role,
            permissions=(),
            modules=invitation.modules,
        )
    except RoleCeiling:
        return False
    return asked.allowed


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
        return values["user_id"] == user and _above(values) in facts.places
    if kind == "workspace":
        return ("workspace", values["id"]) in facts.places or _above(values, "parent_workspace_id") in facts.places
    return kind == "organization"


def _above(values: Mapping[str, Any], workspace: str = "workspace_id") -> PlaceKey:
    """Return the place of a membership, or the one right above a workspace."""
    if values.get(workspace) is not None:
        return ("workspace", values[workspace])
    if values.get("organization_id") is not None:
        return ("organization", values["organization_id"])
    return ("platform", "")
