"""Deleting an account, and what becomes of everything it has (product.md section 2)."""

from dataclasses import dataclass, replace
from typing import Final

from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.users import User
from wsauthz.policy.access import live
from wsauthz.policy.place import Place
from wsauthz.store import accounts as account_rows
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import users as user_rows
from wsauthz.tenancy import ceiling, deletion, owners
from wsauthz.tenancy.enrolment import described, enrol, may_return
from wsauthz.tenancy.ownership import give_role
from wsauthz.tenancy.places import organization_of
from wsauthz.tenancy.transaction import Transaction

_TRANSFER: Final = "transfer"
"""What a catalog says if workspaces are to outlive their owner's account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAccount:
    """What went with an account; ``deleted`` False: there was nothing of it."""

    deleted: bool
    deleted_organizations: int
    deleted_workspaces: int
    transferred_workspaces: int


def delete(tx: Transaction, *, user_id: str) -> DeletedAccount:
    """Delete a user with its memberships, its invitations, and what nobody else owns; repeating it changes nothing.

    Organizations that it alone owns go with their workspaces. Every other workspace it is the primary owner of goes or
    passes on, as the catalog says. Whatever goes takes its descendants with it, whoever owns those.

    Raises:
        Denied: somebody else's account is not the actor's to delete, whether there is one or not.
        RoleCeiling: the user ranks above the actor at the platform.

    """
    _check_may_delete(tx, user_id)
    user = user_rows.find(tx.connection, user_id)
    organizations = _owned_alone(tx, user_id)
    count = sum(deletion.delete_organization(tx, at) for at in organizations)
    ending, passing = _settle(tx, user_id, set(organizations))
    count += deletion.delete_workspaces(tx, ending, along_with=user_id)
    for at, heir in passing.items():
        owners.pass_on(tx, at, heir)
        _seat(tx, at, heir)
    closed = _close_memberships(tx, user_id)
    revoked = _revoke_invitations(tx, user_id, user)
    account_rows.forget(tx.connection, user_id)
    if user_rows.remove(tx.connection, user_id):
        tx.changed(changes.user_deleted(user_id))
    deleted = bool(user or organizations or count or passing or closed or revoked)
    if deleted:
        counts = {"organizations": len(organizations), "workspaces": count, "transferred": len(passing)}
        after = {"deleted": True, **counts, "memberships": closed, "invitations": revoked}
        tx.audit("user", user_id, PLATFORM, after=after)
    return DeletedAccount(
        deleted=deleted,
        deleted_organizations=len(organizations),
        deleted_workspaces=count,
        transferred_workspaces=len(passing),
    )


def _check_may_delete(tx: Transaction, user_id: str) -> None:
    if user_id == tx.actor:
        return
    tx.require("user", "delete", PLATFORM)
    at, now = tx.facts.platform, tx.now.timestamp()
    grant = tx.facts.grants.get(user_id, {}).get(at)
    if grant is not None:
        ceiling.check_touch(tx.facts, tx.rules, now, actor=tx.actor, at=at, user=user_id, role=grant.role)


def _owned_alone(tx: Transaction, user_id: str) -> list[Place]:
    """Return the organizations in which nobody but the user has an owner's membership that counts, by id."""
    roles = owners.owner_roles(tx.rules.catalog, "organization")
    now = tx.now.timestamp()
    owned = [
        place
        for place, grant in tx.facts.grants.get(user_id, {}).items()
        if place.key[0] == "organization" and grant.role in roles and live(grant, now)
    ]
    alone = [place for place in owned if _longest_standing(tx, place.key, user_id) is None]
    return sorted(alone, key=lambda place: place.key)


def _settle(tx: Transaction, user_id: str, gone: set[Place]) -> tuple[list[Place], dict[Place, str]]:
    """Return which of the user's workspaces outside of what is gone end now, and who gets the others."""
    owned = [place for place in tx.facts.owned.get(user_id, ()) if gone.isdisjoint(place.chain)]
    heirs = {place: _heir(tx, place, user_id) for place in sorted(owned, key=lambda place: place.key)}
    ending = {place: None for place, heir in heirs.items() if heir is None}
    passing = {place: heir for place, heir in heirs.items() if heir and ending.keys().isdisjoint(place.chain)}
    return list(ending), passing


def _heir(tx: Transaction, at: Place, user_id: str) -> str | None:
    """Return who becomes the primary owner: one of the other owners, else one of the organization's."""
    if tx.rules.catalog.on_account_deletion != _TRANSFER:
        return None
    heir = _longest_standing(tx, at.key, user_id)
    organization_id = organization_of(at)
    if heir is None and organization_id is not None:
        heir = _longest_standing(tx, ("organization", organization_id), user_id)
    return heir


def _longest_standing(tx: Transaction, place: PlaceKey, user_id: str) -> str | None:
    roles = owners.owner_roles(tx.rules.catalog, place[0])
    return membership_rows.longest_standing(tx.connection, place, roles, besides=user_id, now=tx.now)


def _seat(tx: Transaction, at: Place, heir: str) -> None:
    """See that the new primary owner has an owner's or the creator's membership that counts; room is no question."""
    catalog = tx.rules.catalog
    membership = membership_rows.find_able(tx.connection, at.key, heir, now=tx.now)
    if membership is not None and membership.role in owners.owner_roles(catalog, "workspace"):
        return
    membership = membership_rows.find(tx.connection, at.key, heir)
    if membership is None:
        enrol(tx, at.key, heir, role=catalog.creator_role, is_limited=False)
    else:
        give_role(tx, membership, catalog.creator_role, is_active=True, modules=None, expires_at=None)


def _revoke_invitations(tx: Transaction, user_id: str, user: User | None) -> int:
    """Revoke what the user sent and what was sent to it; return how many. An unverified address may be another's."""
    address = user.email if user is not None and user.email_verified else None
    revoked = account_rows.revoke_invitations(tx.connection, user_id, address, now=tx.now)
    for invitation in revoked:
        place: PlaceKey = ("workspace", invitation.workspace_id)
        tx.audit("invitation", invitation.id, place, after={"revoked": True, "invited_by": invitation.invited_by})
    tx.tally.invitations["revoked"] += len(revoked)
    return len(revoked)


def _close_memberships(tx: Transaction, user_id: str) -> int:
    """End what memberships are left, and return how many.

    Nobody removed the user, so nothing keeps it out later - but where it may not return by a code: an account that is
    made anew is no way around that.
    """
    left = membership_rows.of_user(tx.connection, user_id)
    out = {each.id for each in left if not may_return(tx, each)}
    membership_rows.remove(tx.connection, out, now=tx.now, removed_by=tx.actor)
    membership_rows.remove(tx.connection, (each.id for each in left if each.id not in out), now=tx.now)
    for membership in left:
        tx.changed(changes.membership(replace(membership, deleted_at=tx.now)))
        before = described(membership)
        tx.audit("membership", membership.id, membership.place, before=before, after={"deleted": True})
    return len(left)
