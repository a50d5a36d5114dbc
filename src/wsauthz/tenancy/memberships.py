"""Adding, changing and removing members of workspaces and organizations.

The engine has said that the actor may do this kind of thing here; what remains is how far: the ceiling, the owners, and
what must hold between a workspace and its organization.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from wsauthz.model.errors import (
    AlreadyMember,
    CannotRemoveSelf,
    InvalidArgument,
    MemberNotFound,
    UnknownPermission,
    UnknownRole,
)
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.facts import Place
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import users as user_rows
from wsauthz.tenancy import aftermath, ceiling, modules, owners, places, texts
from wsauthz.tenancy.enrolment import close, described, enrol, ensure_organization_member
from wsauthz.tenancy.difference import Difference
from wsauthz.tenancy.transaction import Transaction


class AddMemberOutcome(IntEnum):
    """What became of adding somebody by email. Numbers as in memberships.proto."""

    ADDED = 1
    ALREADY_MEMBER = 2
    NOT_FOUND = 3


def add(
    tx: Transaction,
    *,
    place: PlaceKey,
    user_id: str,
    role: str = "",
    permissions: Sequence[str] = (),
    module_list: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> Membership:
    """Add a user and return the membership; an expired one is closed and replaced. ``role`` empty: the catalog's default.

    Raises:
        PlaceSuspended, PlaceInactive: nobody may be added now. UnknownRole, UnknownPermission, UnknownModule,
        InvalidArgument: it is not what a membership may say. RoleCeiling: it is more than the actor holds.
        AlreadyMember: the user has a live membership, be it a deactivated one. LimitReached: the place is full.

    """
    offer = _offer(tx, place, role, permissions, module_list, expires_at)
    present = membership_rows.find(tx.connection, place, user_id)
    if present is not None and not _is_expired(present, tx.now):
        raise AlreadyMember
    return _let_in(tx, place, user_id, present, offer)


def add_by_email(
    tx: Transaction,
    *,
    place: PlaceKey,
    email: str,
    role: str = "",
    permissions: Sequence[str] = (),
    module_list: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[AddMemberOutcome, Membership | None]:
    """Add the user with this verified address; return what became of it, and the membership.

    An unknown or unverified address changes nothing. Somebody who is a member already still gets the membership of the
    organization that may be missing.

    Raises:
        The same as ``add``, except AlreadyMember.

    """
    address = texts.email(email)
    offer = _offer(tx, place, role, permissions, module_list, expires_at)
    user = user_rows.find_by_email(tx.connection, address)
    if user is None or not user.email_verified:
        return AddMemberOutcome.NOT_FOUND, None
    present = membership_rows.find(tx.connection, place, user.id)
    if present is not None and not _is_expired(present, tx.now):
        ensure_organization_member(tx, place, user.id)
        return AddMemberOutcome.ALREADY_MEMBER, present
    return AddMemberOutcome.ADDED, _let_in(tx, place, user.id, present, offer)


def update(tx: Transaction, *, place: PlaceKey, user_id: str, values: Mapping[str, Any]) -> Membership:
    """Change some of role, permissions, modules, is_active and expires_at; return the membership.

    Raises:
        MemberNotFound: there is no live membership. UnknownRole, UnknownPermission, UnknownModule, InvalidArgument: it
        is not what a membership may say. PrimaryOwner, LastOwner: the owner stays. RoleCeiling: the member is above the
        actor, or would get more than the actor holds.

    """
    at = places.find(tx.facts, place)
    old = _member(tx, place, user_id)
    checked = _checked(tx, at, old, values)
    new = replace(old, **checked)
    if new == old:
        return old
    difference = Difference(tx.rules, old, new)
    if difference.ends_ownership:
        owners.let_go(tx, at, user_id, old.role)
    elif difference.is_less:
        owners.check_protected(tx, at, user_id)
    _check_ceiling(tx, at, difference)
    membership_rows.update(tx.connection, old.id, {**checked, "updated_at": tx.now})
    tx.changed(changes.membership(new))
    tx.audit("membership", new.id, place, before=described(old), after=described(new))
    if difference.may_end_rights:
        aftermath.revoke_unsendable(tx, user_id, [place])
    return replace(new, updated_at=tx.now)


def remove(tx: Transaction, *, place: PlaceKey, user_id: str) -> None:
    """Remove somebody else; from an organization: from all its workspaces, too.

    Raises:
        MemberNotFound: there is no live membership. CannotRemoveSelf: that is what ``leave`` is for.
        PrimaryOwner, LastOwner: the owner stays, here or in a workspace of the organization. RoleCeiling: the member is
        above the actor.

    """
    at = places.find(tx.facts, place)
    membership = _member(tx, place, user_id)
    if user_id == tx.actor:
        raise CannotRemoveSelf
    going = _let_go_everywhere(tx, at, membership)
    _check_touch(tx, at, membership)
    _close_all(tx, place, user_id, going)


def leave(tx: Transaction, *, place: PlaceKey) -> None:
    """Remove the actor; from an organization: from all its workspaces, too.

    Raises:
        NotFound, Denied: leaving is not allowed, or the actor may not even view the place. MemberNotFound: it has no
        membership of its own here. PrimaryOwner, LastOwner: the owner stays.

    """
    tx.require(place[0], "leave", place)
    membership = _member(tx, place, tx.actor)
    going = _let_go_everywhere(tx, places.find(tx.facts, place), membership)
    _close_all(tx, place, tx.actor, going)


def check_role(catalog: Catalog, role: str, kind: str) -> str:
    """Return the role, or the catalog's default for an empty one.

    Raises:
        UnknownRole: the catalog lacks it, does not assign it, or does not give it in this kind of place.

    """
    if not role:
        return catalog.default_organization_role if kind == "organization" else catalog.default_workspace_role
    found = catalog.roles.get(role)
    if found is None or not found.assignable or kind not in found.places:
        raise UnknownRole(role, kind)
    return role


def _offer(
    tx: Transaction,
    place: PlaceKey,
    role: str,
    permissions: Sequence[str],
    module_list: Sequence[str] | None,
    expires_at: datetime | None,
) -> Mapping[str, Any]:
    """Return what a new membership will say, within what the actor may give."""
    at = places.find(tx.facts, place)
    catalog = tx.rules.catalog
    offer: dict[str, Any] = {
        "role": check_role(catalog, role, place[0]),
        "permissions": _check_permissions(catalog, permissions),
        "modules": None if module_list is None else modules.check_known(catalog, module_list),
        "expires_at": _check_expiry(tx, expires_at),
    }
    _check_owner_like(catalog, **offer)
    places.check_open(at)
    given = {name: offer[name] for name in ("role", "permissions", "modules")}
    ceiling.check_grant(tx.facts, tx.rules, tx.now.timestamp(), giver=tx.actor, at=at, **given)
    return offer


def _let_in(
    tx: Transaction, place: PlaceKey, user: str, expired: Membership | None, offer: Mapping[str, Any]
) -> Membership:
    if expired is not None:
        close(tx, expired, replaced=True)
    ensure_organization_member(tx, place, user)
    return enrol(tx, place, user, **offer)


def _member(tx: Transaction, place: PlaceKey, user_id: str) -> Membership:
    membership = membership_rows.find(tx.connection, place, user_id)
    if membership is None:
        raise MemberNotFound
    return membership


def _checked(tx: Transaction, at: Place, old: Membership, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values that a membership may be given."""
    catalog = tx.rules.catalog
    checked = dict(values)
    if "role" in values and values["role"] != old.role:
        checked["role"] = check_role(catalog, values["role"], at.key[0])
    if "permissions" in values:
        checked["permissions"] = _check_permissions(catalog, values["permissions"])
    if values.get("modules") is not None:
        checked["modules"] = modules.check_known(catalog, values["modules"])
    if "expires_at" in values and values["expires_at"] != old.expires_at:
        _check_expiry(tx, values["expires_at"])
    new = replace(old, **checked)
    if new != old:
        _check_owner_like(catalog, new.role, new.permissions, new.modules, new.expires_at)
    return checked


def _check_permissions(catalog: Catalog, permissions: Sequence[str]) -> tuple[str, ...]:
    for permission in permissions:
        if permission not in catalog.permissions:
            raise UnknownPermission(permission)
    if len(set(permissions)) < len(permissions):
        raise InvalidArgument("permissions", "must not name a permission twice")
    return tuple(permissions)


def _check_expiry(tx: Transaction, expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= tx.now:
        raise InvalidArgument("expires_at", "must be in the future")
    return expires_at


def _check_owner_like(
    catalog: Catalog,
    role: str,
    permissions: tuple[str, ...],  # noqa: ARG001 - what an offer holds
    modules: tuple[str, ...] | None,
    expires_at: datetime | None,
) -> None:
    """Refuse an owner for a while, or for some modules only."""
    found = catalog.roles.get(role)
    if found is None or not found.owner_like:
        return
    if modules is not None:
        raise InvalidArgument("modules", f"must be unset for the role {role!r}")
    if expires_at is not None:
        raise InvalidArgument("expires_at", f"must be unset for the role {role!r}")


def _check_ceiling(tx: Transaction, at: Place, difference: Difference) -> None:
    _check_touch(tx, at, difference.old)
    new = difference.new
    given = difference.permissions_given
    if difference.is_more or difference.raises_role or given:
        ceiling.check_grant(
            tx.facts,
            tx.rules,
            tx.now.timestamp(),
            giver=tx.actor,
            at=at,
            role=new.role,
            permissions=new.permissions if difference.is_more else given,
            modules=new.modules,
        )


def _check_touch(tx: Transaction, at: Place, member: Membership) -> None:
    now = tx.now.timestamp()
    ceiling.check_touch(tx.facts, tx.rules, now, actor=tx.actor, at=at, user=member.user_id, role=member.role)


def _let_go_everywhere(tx: Transaction, at: Place, membership: Membership) -> list[Membership]:
    """Return the memberships that end with this one, itself last; every place keeps an owner."""
    user = membership.user_id
    going = [membership]
    if at.key[0] == "organization":
        everywhere = membership_rows.of_user(tx.connection, user)
        going = [each for each in everywhere if at in places.find(tx.facts, each.place).chain[1:]] + going
        # Primary ownership without a membership would outlive all this.
        for owned in sorted(tx.facts.owned.get(user, ()), key=lambda place: place.key):
            if at in owned.chain and all(each.place != owned.key for each in going):
                owners.let_go(tx, owned, user, "")
    for each in going:
        owners.let_go(tx, places.find(tx.facts, each.place), user, each.role)
    return going


def _close_all(tx: Transaction, place: PlaceKey, user: str, going: Sequence[Membership]) -> None:
    for membership in going:
        close(tx, membership)
    aftermath.revoke_unsendable(tx, user, [place])


def _is_expired(membership: Membership, now: datetime) -> bool:
    return membership.is_active and membership.expires_at is not None and membership.expires_at <= now
