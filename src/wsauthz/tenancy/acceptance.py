"""Invitations as those see them who hold a token: looking at one, and accepting it.

What is refused is told in this order, and the same to everybody, as long as it is about the invitation alone: whoever
holds the token may know that it is dead, was used or has expired. What follows is told to the invited address only: how
the workspace is, and what the actor's own membership is there.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wsauthz.model.errors import (
    InvalidArgument,
    InvitationEmailMismatch,
    InvitationExpired,
    InvitationNotFound,
    InvitationUsed,
    MembershipInactive,
    Removed,
    WorkspaceNotFound,
)
from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.model.targets import Target
from wsauthz.model.users import User
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import invitations as invitation_rows
from wsauthz.store import memberships as membership_rows
from wsauthz.store import revisions
from wsauthz.store import users as user_rows
from wsauthz.store.database import Connection
from wsauthz.tenancy import aftermath, places
from wsauthz.tenancy.enrolment import close, enrol, sync_organization
from wsauthz.tenancy.invitations import token_hash
from wsauthz.tenancy.joinable import JoinableOrganization, JoinableWorkspace, describe
from wsauthz.tenancy.joining import Joined
from wsauthz.tenancy.transaction import Reading, Transaction

_TOKEN: Final = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the holder of a token is invited to."""

    invitation: Invitation
    workspace: JoinableWorkspace
    organization: JoinableOrganization | None
    inviter_name: str
    """Empty when the sender is not known."""
    is_for_actor: bool
    """Whether the actor's own address, verified, is the invited one."""


def preview(reading: Reading, *, token: str) -> Preview:
    """Return what the token invites to.

    Raises:
        InvalidArgument: the text is no token. InvitationNotFound: it is unknown or dead, as is one whose workspace was
        deleted or whose sender could not send it any more. InvitationUsed, InvitationExpired: it is so.

    """
    connection = reading.connection
    invitation = _find(connection, token)
    now = revisions.database_time(connection)
    reading.on_loop(lambda facts, rules, _: _check_usable(facts, rules, now, invitation))
    try:
        workspace, organization = describe(connection, invitation.workspace_id)
    except WorkspaceNotFound:  # this snapshot may be newer than the facts
        raise InvitationNotFound from None
    sender = user_rows.find(connection, invitation.invited_by)
    return Preview(
        invitation=invitation,
        workspace=workspace,
        organization=organization,
        inviter_name=sender.name if sender else "",
        is_for_actor=_is_for(user_rows.find(connection, reading.actor), invitation),
    )


def accept(tx: Transaction, *, token: str) -> Joined:
    """Spend the token and make the actor a member; who is one already keeps its membership as it is.

    Raises:
        InvalidArgument, InvitationNotFound, InvitationUsed, InvitationExpired: as ``preview``.
        InvitationEmailMismatch: the actor does not have the invited address, verified. PlaceSuspended, PlaceInactive:
        nobody joins now. MembershipInactive: the actor's membership, of the workspace or its organization, is
        deactivated. Removed: somebody else removed it from either after the invitation was sent. LimitReached: there
        is no room.

    """
    invitation = _find(tx.connection, token)
    place: PlaceKey = ("workspace", invitation.workspace_id)
    tx.target = Target(kind="invitation", identifier=invitation.id, place=place)
    _check_usable(tx.facts, tx.rules, tx.now, invitation)
    if not _is_for(user_rows.find(tx.connection, tx.actor), invitation):
        raise InvitationEmailMismatch
    at = places.find(tx.facts, place)
    places.check_open(at)
    present = _membership(tx, place, invitation)
    already_member = present is not None and not present.is_expired(tx.now)
    organization_id = places.organization_of(at)
    if not already_member and organization_id is not None:
        _membership(tx, ("organization", organization_id), invitation)
    # The one statement that decides who was first, whatever has been read before.
    if not invitation_rows.accept(tx.connection, invitation.id, accepted_by=tx.actor, now=tx.now):
        raise InvitationUsed
    tx.tally.invitations["accepted"] += 1
    if present is not None and already_member:
        sync_organization(tx, present)
    else:
        if present is not None:
            close(tx, present, replaced=True)
        terms: dict[str, Any] = {"modules": invitation.modules, "expires_at": invitation.membership_expires_at}
        present = enrol(tx, place, tx.actor, role=invitation.role, **terms)
    after = {"accepted": True, "membership_id": present.id, "already_member": already_member}
    tx.audit("invitation", invitation.id, place, before={"accepted": False}, after=after)
    workspace, organization = describe(tx.connection, invitation.workspace_id)
    return Joined(membership=present, workspace=workspace, organization=organization, already_member=already_member)


def _find(connection: Connection, token: str) -> Invitation:
    if not _TOKEN.fullmatch(token):
        raise InvalidArgument("token", "is no invitation token")
    invitation = invitation_rows.find_by_token(connection, token_hash(token))
    if invitation is None:
        raise InvitationNotFound
    return invitation


def _check_usable(facts: Facts, rules: Ruleset, now: datetime, invitation: Invitation) -> None:
    if invitation.revoked_at is not None or ("workspace", invitation.workspace_id) not in facts.places:
        raise InvitationNotFound
    if invitation.accepted:
        raise InvitationUsed
    ends = invitation.membership_expires_at
    if invitation.expires_at <= now or (ends is not None and ends <= now):
        raise InvitationExpired
    if not aftermath.may_send(facts, rules, now, invitation):
        raise InvitationNotFound


def _is_for(user: User | None, invitation: Invitation) -> bool:
    return user is not None and user.email_verified and user.email == invitation.email


def _membership(tx: Transaction, place: PlaceKey, invitation: Invitation) -> Membership | None:
    """Return the actor's live membership there; None: it has none, and may get one by the invitation.

    An invitation lifts an earlier removal; one that was still on its way then must not undo it.
    """
    latest = membership_rows.latest(tx.connection, place, tx.actor)
    if latest is None:
        return None
    if latest.deleted_at is not None:
        if latest.removed_by is not None and latest.deleted_at > invitation.created_at:
            raise Removed
        if place[0] == "organization" and latest.was_left_deactivated:
            raise MembershipInactive
        return None
    if not latest.is_active:
        raise MembershipInactive
    return latest
