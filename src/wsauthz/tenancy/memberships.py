"""Adding, changing and removing members of workspaces and organizations.

The engine has said that the actor may do this kind of thing here; what remains is how far: the ceiling, the owners, and
what must hold between a workspace and its organization.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from typing import Any

from wsauthz.model import texts
from wsauthz.model.errors import (
    AlreadyMember,
    CannotRemoveSelf,
    LastOwner,
    MemberNotFound,
    MembershipInactive,
    PrimaryOwner,
    RoleCeiling,
)
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.policy.access import live
from wsauthz.policy.place import Place
from wsauthz.store import memberships as membership_rows
from wsauthz.store import users as user_rows
from wsauthz.tenancy import aftermath, ceiling, membership_terms, owners, places, visibility
from wsauthz.tenancy.difference import Difference, check_change
from wsauthz.tenancy.enrolment import change, close, enrol, sync_organization
from wsauthz.tenancy.transaction import Transaction


class AddMemberOutcome(IntEnum):
    """What became of adding somebody by email. Numbers as in memberships.proto."""

    ADDED = 1
    ALREADY_MEMBER = 2
    NOT_FOUND = 3


def add(tx: Transaction, *, place: PlaceKey, user_id: str, **values: Any) -> Membership:
    """Add a user and return the membership; an expired one is closed and replaced.

    ``values`` are role (empty or absent: the catalog's default), permissions, modules and expires_at.

    Raises:
        PlaceSuspended, PlaceInactive: nobody may be added now. UnknownRole, UnknownPermission, UnknownModule,
        InvalidArgument: it is not what a membership may say. RoleCeiling: it is more than the actor holds, or the user
        ranks above the actor. UserNotFound: nobody has the id, or the catalog lets the actor not add this user by it.
        AlreadyMember: the user has a live membership, be it a deactivated one. MembershipInactive: its membership of
        the organization is deactivated. LimitReached: the place is full.

    """
    offer = _offer(tx, place, values)
    visibility.check_addable(tx, place, user_id)
    present = membership_rows.find(tx.connection, place, user_id)
    if present is not None and not present.is_expired(tx.now):
        raise AlreadyMember
    _check_reach(tx, place, user_id, present)
    return _let_in(tx, place, user_id, present, offer)


def add_by_email(
    tx: Transaction, *, place: PlaceKey, email: str, **values: Any
) -> tuple[AddMemberOutcome, Membership | None]:
    """Add the user with this verified address; return what became of it, and the membership.

    An unknown or unverified address changes nothing. Somebody who is a member already still gets the membership of the
    organization that may be missing.

    Raises:
        The same as ``add``, except AlreadyMember and UserNotFound.

    """
    address = texts.email(email)
    offer = _offer(tx, place, values)
    user = user_rows.find_by_email(tx.connection, address)
    if user is None or not user.email_verified:
        return AddMemberOutcome.NOT_FOUND, None
    present = membership_rows.find(tx.connection, place, user.id)
    if present is not None and not present.is_expired(tx.now):
        sync_organization(tx, present)
        return AddMemberOutcome.ALREADY_MEMBER, present
    _check_reach(tx, place, user.id, present)
    return AddMemberOutcome.ADDED, _let_in(tx, place, user.id, present, offer)


def update(tx: Transaction, *, place: PlaceKey, user_id: str, values: Mapping[str, Any]) -> Membership:
    """Change some of role, permissions, modules, is_active and expires_at; return the membership.

    Raises:
        MemberNotFound: there is no live membership. UnknownRole, UnknownPermission, UnknownModule, InvalidArgument: it
        is not what a membership may say. PrimaryOwner, LastOwner: the owner stays. RoleCeiling: the member is above the
        actor, or would get more than the actor holds. UserNotFound: nobody has the id, and it would get more.

    """
    at = places.find(tx.facts, place)
    old = _member(tx, place, user_id)
    checked = membership_terms.check_changes(tx.rules.catalog, tx.now, place[0], old, values)
    if not checked:
        return old
    new = replace(old, **checked)
    if user_id == tx.actor and _lasts_longer(old, new):
        raise RoleCeiling("You cannot extend your own membership")
    difference = Difference(tx.rules, old, new)
    if difference.ends_ownership:
        owners.let_go(tx, at, user_id, old.role)
    elif difference.is_less:
        owners.check_protected(tx, at, user_id)
    check_change(tx.facts, tx.rules, tx.now.timestamp(), difference, actor=tx.actor, at=at)
    new = change(tx, old, checked)
    if difference.may_end_rights:
        aftermath.revoke_unsendable(tx, user_id, [place])
    return new


def remove(tx: Transaction, *, place: PlaceKey, user_id: str) -> None:
    """Remove somebody else; from an organization: from all its workspaces, too.

    Raises:
        MemberNotFound: there is no live membership. CannotRemoveSelf: that is what ``leave`` is for.
        PrimaryOwner, LastOwner: the owner stays, here or in a workspace of the organization. RoleCeiling: the member is
        above the actor, here or there.

    """
    at = places.find(tx.facts, place)
    membership = _member(tx, place, user_id)
    if user_id == tx.actor:
        raise CannotRemoveSelf
    going = _let_go_everywhere(tx, at, membership)
    for each in going:
        with _named(tx, each.place, besides=place):
            _check_touch(tx, places.find(tx.facts, each.place), each)
    _close_all(tx, place, user_id, going)


def leave(tx: Transaction, *, place: PlaceKey) -> None:
    """Remove the actor; from an organization: from all its workspaces, too.

    Nobody is kept where somebody else put them: those who were added need no rule to leave, unless they hold something
    else in the place. The membership may be there to take that away.

    Raises:
        NotFound, Denied: leaving is not allowed, or the actor may not even view the place. MemberNotFound: it has no
        membership of its own here. PrimaryOwner, LastOwner: the owner stays.

    """
    present = membership_rows.find(tx.connection, place, tx.actor)
    if present is None or present.added_by == tx.actor or _holds_more(tx, place, tx.actor):
        tx.require(place[0], "leave", place)
    membership = _member(tx, place, tx.actor)
    going = _let_go_everywhere(tx, places.find(tx.facts, place), membership)
    _close_all(tx, place, tx.actor, going)


def _offer(tx: Transaction, place: PlaceKey, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a new membership will say, within what the actor may give."""
    at = places.find(tx.facts, place)
    offer = membership_terms.check_new(tx.rules.catalog, tx.now, place[0], values)
    places.check_open(at)
    given = {name: offer[name] for name in ("role", "permissions", "modules")}
    until = ceiling.until(offer["expires_at"])
    ceiling.check_grant(tx.facts, tx.rules, tx.now.timestamp(), giver=tx.actor, at=at, **given, until=until)
    return offer


def _check_reach(tx: Transaction, place: PlaceKey, user: str, expired: Membership | None) -> None:
    """Return unless the organization shut the user out, or it ranks above the actor.

    That may be by a role from above, ownership or the expired membership. A membership can take away, too: by a role
    that rules deny things to.
    """
    at, now, role = tx.facts.places[place], tx.now.timestamp(), expired.role if expired else ""
    grants = tx.facts.grants.get(user, {})
    for roof in (each for each in at.chain if each.key[0] == "organization"):
        if roof in grants:
            is_shut_out = not grants[roof].is_active
        else:  # leaving lifts no deactivation; being added to the organization itself does
            latest = membership_rows.latest(tx.connection, roof.key, user) if roof is not at else None
            is_shut_out = latest is not None and latest.was_left_deactivated
        if is_shut_out:
            raise MembershipInactive("This user's membership of the organization is deactivated")
    ceiling.check_touch(tx.facts, tx.rules, now, actor=tx.actor, at=at, user=user, role=role)


def _let_in(
    tx: Transaction, place: PlaceKey, user: str, expired: Membership | None, offer: Mapping[str, Any]
) -> Membership:
    if expired is not None:
        close(tx, expired, replaced=True)
    return enrol(tx, place, user, **offer)


def _member(tx: Transaction, place: PlaceKey, user_id: str) -> Membership:
    membership = membership_rows.find(tx.connection, place, user_id)
    if membership is None:
        raise MemberNotFound
    return membership


def _holds_more(tx: Transaction, place: PlaceKey, user: str) -> bool:
    """Tell whether the user holds something in the place by a membership above it, or owns it or a place above."""
    at, grants = places.find(tx.facts, place), tx.facts.grants.get(user, {})
    for distance, above in enumerate(at.chain[1:], start=1):
        grant = grants.get(above)
        if grant is None or not live(grant, tx.now.timestamp()):
            continue
        if tx.rules.given(grant.role, grant.permissions, distance):
            return True
    return not tx.facts.owned.get(user, set()).isdisjoint(at.chain)


def _check_touch(tx: Transaction, at: Place, member: Membership) -> None:
    now = tx.now.timestamp()
    ceiling.check_touch(tx.facts, tx.rules, now, actor=tx.actor, at=at, user=member.user_id, role=member.role)


def _let_go_everywhere(tx: Transaction, at: Place, membership: Membership) -> list[Membership]:
    """Return the memberships that end with this one, itself last; every place keeps an owner."""
    user = membership.user_id
    going = [membership]
    if at.key[0] == "organization":
        everywhere = [(each, tx.facts.places.get(each.place)) for each in membership_rows.of_user(tx.connection, user)]
        going = [each for each, where in everywhere if where is not None and at in where.chain[1:]] + going
        # Primary ownership without a membership would outlive all this.
        for owned in sorted(tx.facts.owned.get(user, ()), key=lambda place: place.key):
            if at in owned.chain and all(each.place != owned.key for each in going):
                with _named(tx, owned.key, besides=at.key):
                    owners.let_go(tx, owned, user, "")
    for each in going:
        with _named(tx, each.place, besides=at.key):
            owners.let_go(tx, places.find(tx.facts, each.place), user, each.role)
    return going


@contextmanager
def _named(tx: Transaction, place: PlaceKey, *, besides: PlaceKey) -> Iterator[None]:
    """Have an error name the place it arises in, unless the request does or the actor may not view it."""
    try:
        yield
    except (LastOwner, PrimaryOwner, RoleCeiling) as refused:
        if place != besides:
            refused.arises_in(place[1] if tx.ask("workspace", "view", place).allowed else "")
        raise


def _close_all(tx: Transaction, place: PlaceKey, user: str, going: Sequence[Membership]) -> None:
    closed = [close(tx, membership) for membership in going]
    if place[0] == "workspace":  # else the membership of the organization goes as well
        for membership in closed:
            sync_organization(tx, membership)
    aftermath.revoke_unsendable(tx, user, [place])


def _lasts_longer(old: Membership, new: Membership) -> bool:
    if old.expires_at is None:
        return False
    return new.expires_at is None or new.expires_at > old.expires_at
