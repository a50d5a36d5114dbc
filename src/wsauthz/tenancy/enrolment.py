"""Putting somebody into a place: what every way in has in common."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from wsauthz.model.errors import LimitReached
from wsauthz.model.identifiers import new_id
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.policy import terms
from wsauthz.policy.decision import decide
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy import ceiling
from wsauthz.tenancy.places import organization_of
from wsauthz.tenancy.transaction import Transaction


def enrol(
    tx: Transaction,
    place: PlaceKey,
    user: str,
    *,
    role: str,
    permissions: tuple[str, ...] = (),
    modules: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    is_limited: bool = True,
) -> Membership:
    """Make a new membership and return it; nothing is checked but that there is room, unless ``is_limited`` is False.

    Raises:
        AlreadyMember: the user has a live membership there. LimitReached: the place has as many as it may.

    """
    at = tx.facts.places.get(place)
    most = tx.rules.catalog.members_per_place
    is_new = at is not None and at not in tx.facts.grants.get(user, {})
    if at is not None and is_new and is_limited and len(at.members) >= most:
        raise LimitReached("members_per_place", most)
    kind, identifier = place
    membership = Membership(
        id=new_id("member"),
        workspace_id=identifier if kind == "workspace" else None,
        organization_id=identifier if kind == "organization" else None,
        user_id=user,
        role=role,
        permissions=permissions,
        modules=modules,
        is_active=True,
        expires_at=expires_at,
        joined_at=tx.now,
        created_at=tx.now,
        updated_at=tx.now,
        deleted_at=None,
    )
    membership_rows.add(tx.connection, membership)
    tx.changed(changes.membership(membership))
    tx.audit("membership", membership.id, place, after=described(membership))
    return membership


def close(tx: Transaction, membership: Membership, *, replaced: bool = False) -> None:
    """Remove a membership; the row stays, and says who removed the user if that was somebody else.

    What the user may not come back to by a code counts as removed, too.
    """
    is_free = replaced or (membership.user_id == tx.actor and may_return(tx, membership))
    removed_by = None if is_free else tx.actor
    values = {"deleted_at": tx.now, "removed_by": removed_by, "updated_at": tx.now}
    membership_rows.update(tx.connection, membership.id, values)
    closed = replace(membership, deleted_at=tx.now)
    tx.changed(changes.membership(closed))
    before = described(membership)
    tx.audit("membership", closed.id, closed.place, before=before, after={"deleted": True})


def may_return(tx: Transaction, membership: Membership) -> bool:
    """Tell whether the user, once gone, may come back by a code.

    Not where it could not have left by itself: leaving the organization above or deleting the account must be no way
    around that. Nor where a code would give it more than it had: a higher role, modules it lacked, or no end.
    """
    rules, kind = tx.rules, membership.place[0]
    own, given = (
        ceiling.rank_of(rules, rules.close({terms.role(role)}))
        for role in (membership.role, rules.catalog.default_role(kind))
    )
    is_limited = membership.modules is not None or membership.expires_at is not None or own < given
    return _could_leave(tx, membership) and (kind == "platform" or not is_limited)


def _could_leave(tx: Transaction, membership: Membership) -> bool:
    """Tell whether its user could end the membership by itself: not where it is deactivated, expired or barred.

    That an account is deactivated bars it from nowhere, and nobody leaves the platform.
    """
    user, place = membership.user_id, membership.place
    if not membership.is_active or membership.is_expired(tx.now):
        return False
    if place[0] == "platform" or user in tx.facts.deactivated:
        return True
    asked: dict[str, Any] = {"subject": user, "place": place, "resource": place[0], "action": "leave"}
    return decide(tx.facts, tx.rules, tx.now.timestamp(), **asked).allowed


def ensure_organization_member(tx: Transaction, place: PlaceKey, user: str) -> None:
    """Give the user a membership of the organization that the workspace is in, if it has none."""
    organization_id = organization_of(tx.facts.places[place])
    if organization_id is None or place[0] == "organization":
        return
    roof: PlaceKey = ("organization", organization_id)
    if membership_rows.find(tx.connection, roof, user) is None:
        enrol(tx, roof, user, role=tx.rules.catalog.default_organization_role)


def described(membership: Membership) -> Mapping[str, Any]:
    """Return what the audit says of a membership."""
    expires_at = membership.expires_at
    return {
        "user_id": membership.user_id,
        "role": membership.role,
        "permissions": list(membership.permissions),
        "modules": None if membership.modules is None else list(membership.modules),
        "is_active": membership.is_active,
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
