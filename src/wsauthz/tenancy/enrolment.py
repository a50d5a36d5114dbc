"""Writing memberships: what every way into a place, and every change of a member, has in common.

Whoever gets into a workspace of an organization is made a member of the organization. Such a membership is derived: its
terms follow the memberships that bring it, until somebody changes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from wsauthz.model.errors import LimitReached
from wsauthz.model.identifiers import new_id
from wsauthz.model.memberships import Membership, joint_terms
from wsauthz.model.places import PlaceKey
from wsauthz.policy import terms
from wsauthz.policy.decision import decide
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import aftermath, ceiling
from wsauthz.tenancy.difference import Difference
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
    """Make a new membership and return it, and make the user a member of the organization above.

    Nothing is checked but that there is room, unless ``is_limited`` is False.

    Raises:
        AlreadyMember: the user has a live membership there. LimitReached: the place has as many as it may.

    """
    membership = new_membership(tx, place, user, role)
    membership = replace(membership, permissions=permissions, modules=modules, expires_at=expires_at)
    _add(tx, membership, is_limited=is_limited)
    sync_organization(tx, membership, is_limited=is_limited)
    return membership


def change(tx: Transaction, old: Membership, values: Mapping[str, Any]) -> Membership:
    """Give fields of a membership other values and return it; nothing is checked.

    A membership of an organization that is changed so is not derived any more.
    """
    taken_over = {"is_derived": False} if old.is_derived else {}
    new = _change(tx, old, {**values, **taken_over})
    sync_organization(tx, new)
    return new


def close(tx: Transaction, membership: Membership, *, replaced: bool = False) -> Membership:
    """Remove a membership and return it; the row stays, and says who removed the user if that was somebody else.

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
    return closed


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


def sync_organization(tx: Transaction, membership: Membership, *, is_limited: bool = True) -> None:
    """See that the organization above has what the user's memberships in its workspaces bring.

    ``membership`` is the one of a workspace that was made, changed or removed. Only one that counts makes a membership
    of the organization; one that is there follows if it is derived.

    Raises:
        LimitReached: the organization has as many members as it may, unless ``is_limited`` is False.

    """
    organization_id = _organization_above(tx, membership)
    if organization_id is None:
        return
    organization: PlaceKey = ("organization", organization_id)
    user = membership.user_id
    present = membership_rows.find(tx.connection, organization, user)
    if present is not None:
        keep_in_step(tx, organization_id, [present] if present.is_derived else [])
    elif membership.deleted_at is None and membership.brings(tx.now):
        bringing = membership_rows.bringing(tx.connection, organization_id, [user], now=tx.now)
        terms = joint_terms([each.terms for each in bringing])
        made = new_membership(tx, organization, user, tx.rules.catalog.default_organization_role)
        made = replace(made, **terms._asdict(), is_derived=True, added_by=membership.added_by)
        _add(tx, made, is_limited=is_limited)


def keep_in_step(tx: Transaction, organization_id: str, derived: Sequence[Membership]) -> None:
    """Give derived memberships of the organization the terms of what brings them; with nothing left theirs stay."""
    users = [each.user_id for each in derived]
    brought_by: dict[str, list[Membership]] = {}
    for each in membership_rows.bringing(tx.connection, organization_id, users, now=tx.now):
        brought_by.setdefault(each.user_id, []).append(each)
    for old in derived:
        bringing = brought_by.get(old.user_id)
        terms = joint_terms([each.terms for each in bringing]) if bringing else old.terms
        if terms == old.terms:
            continue
        new = _change(tx, old, terms._asdict())
        if Difference(tx.rules, old, new).is_less:
            aftermath.revoke_unsendable(tx, old.user_id, [old.place])


def keep_modules(tx: Transaction, organization_id: str, user: str) -> None:
    """Keep the module list of a derived membership for good, because its user is about to create a workspace there.

    The creator's membership of that has no module list, so the list would be lifted by whoever is held to it.
    """
    present = membership_rows.find(tx.connection, ("organization", organization_id), user)
    if present is not None and present.is_derived and present.modules is not None:
        _change(tx, present, {"is_derived": False, "expires_at": None})


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
        **({"is_derived": True} if membership.is_derived else {}),
    }


def new_membership(tx: Transaction, place: PlaceKey, user: str, role: str) -> Membership:
    """Return a new membership of the place that says no more than the role."""
    kind, identifier = place
    return Membership(
        id=new_id("member"),
        workspace_id=identifier if kind == "workspace" else None,
        organization_id=identifier if kind == "organization" else None,
        user_id=user,
        role=role,
        permissions=(),
        modules=None,
        is_active=True,
        expires_at=None,
        joined_at=tx.now,
        created_at=tx.now,
        updated_at=tx.now,
        deleted_at=None,
        added_by=tx.actor or None,
    )


def _add(tx: Transaction, membership: Membership, *, is_limited: bool) -> None:
    at = tx.facts.places.get(membership.place)
    most = tx.rules.catalog.members_per_place
    is_new = at is not None and at not in tx.facts.grants.get(membership.user_id, {})
    if at is not None and is_new and is_limited and len(at.members) >= most:
        raise LimitReached("members_per_place", most)
    membership_rows.add(tx.connection, membership)
    tx.changed(changes.membership(membership))
    tx.audit("membership", membership.id, membership.place, after=described(membership))


def _change(tx: Transaction, old: Membership, values: Mapping[str, Any]) -> Membership:
    new = replace(old, **values, updated_at=tx.now)
    membership_rows.update(tx.connection, old.id, {**values, "updated_at": tx.now})
    tx.changed(changes.membership(new))
    tx.audit("membership", new.id, new.place, before=described(old), after=described(new))
    return new


def _organization_above(tx: Transaction, membership: Membership) -> str | None:
    """Return the organization of the membership's workspace; None: it has none, or is no membership of a workspace."""
    if membership.workspace_id is None:
        return None
    at = tx.facts.places.get(membership.place)
    if at is not None:
        return organization_of(at)
    new = workspace_rows.find(tx.connection, membership.workspace_id)  # made in this transaction
    return None if new is None else new.organization_id
