"""Invitations as those see them who send them: sending, listing and revoking. For who gets one: ``acceptance``.

The secret is the token. It leaves this module once, for whoever mails it; only its hash is stored.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import AlreadyMember, InvalidArgument, InvitationNotFound, InvitationUsed
from wsauthz.model.identifiers import new_id
from wsauthz.model.invitations import MOST_DAYS, Invitation
from wsauthz.model.places import PlaceKey
from wsauthz.store import invitations as invitation_rows
from wsauthz.store import memberships as membership_rows
from wsauthz.store import revisions
from wsauthz.store import users as user_rows
from wsauthz.tenancy import ceiling, membership_terms, places
from wsauthz.tenancy.transaction import Reading, Transaction

_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A new invitation."""

    invitation: Invitation
    token: str = field(repr=False)
    """For the invited address alone; nobody sees it again."""


def create(
    tx: Transaction,
    *,
    workspace_id: str,
    email: str,
    role: str = "",
    modules: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    membership_expires_at: datetime | None = None,
) -> Sent:
    """Invite an address, known or not; its earlier pending invitation to the workspace dies.

    The invitation expires when the membership that it gives would, if that is earlier than ``expires_at``.

    Raises:
        WorkspaceNotFound: there is none. InvalidArgument: no address, or too long or too short a time.
        UnknownRole, UnknownModule: it is not what a membership may say. PlaceSuspended, PlaceInactive: nobody may be
        invited now. RoleCeiling: it is more than the actor holds, or for longer. AlreadyMember: the address, verified,
        is that of somebody with a live membership, be it a deactivated one.

    """
    place: PlaceKey = ("workspace", workspace_id)
    at = places.find(tx.facts, place)
    address = texts.email(email)
    wanted = {"role": role, "modules": modules, "expires_at": membership_expires_at}
    terms = membership_terms.check_new(tx.rules.catalog, tx.now, place[0], wanted, expiry="membership_expires_at")
    offer = {name: terms[name] for name in ("role", "modules")}
    until = _expiry(tx, expires_at, membership_expires_at)
    places.check_open(at)
    given = {**offer, "permissions": (), "until": ceiling.until(membership_expires_at)}
    ceiling.check_grant(tx.facts, tx.rules, tx.now.timestamp(), giver=tx.actor, at=at, **given)
    user = user_rows.find_by_email(tx.connection, address)
    if user is not None and user.email_verified:
        present = membership_rows.find(tx.connection, place, user.id)
        if present is not None and not present.is_expired(tx.now):
            raise AlreadyMember
    invitation = Invitation(
        id=new_id("invitation"),
        workspace_id=workspace_id,
        email=address,
        **offer,
        membership_expires_at=membership_expires_at,
        invited_by=tx.actor,
        expires_at=until,
        accepted_at=None,
        accepted_by=None,
        revoked_at=None,
        created_at=tx.now,
        updated_at=tx.now,
    )
    _replace(tx, invitation)
    token = secrets.token_hex(_TOKEN_BYTES)
    invitation_rows.add(tx.connection, invitation, token_hash=token_hash(token))
    tx.audit("invitation", invitation.id, place, after=_described(invitation))
    tx.tally.invitations["created"] += 1
    return Sent(invitation=invitation, token=token)


def list_(
    reading: Reading, *, workspace_id: str, email: str = "", include_closed: bool = False, after: str = "", limit: int
) -> tuple[list[Invitation], bool]:
    """Return up to ``limit`` invitations by id, the pending ones only unless asked for all, and whether more follow.

    Raises:
        InvalidArgument: ``email`` is given, and no address.

    """
    found = invitation_rows.page(
        reading.connection,
        workspace_id,
        after=after,
        limit=limit + 1,
        email=texts.email(email) if email else "",
        pending_at=None if include_closed else revisions.database_time(reading.connection),
    )
    return found[:limit], len(found) > limit


def revoke(tx: Transaction, *, workspace_id: str, invitation_id: str) -> Invitation:
    """Kill the invitation, unless it is dead, and return it.

    Raises:
        InvitationNotFound: the workspace has none with the id. InvitationUsed: it was accepted.

    """
    invitation = invitation_rows.find(tx.connection, invitation_id)
    if invitation is None or invitation.workspace_id != workspace_id:
        raise InvitationNotFound
    if invitation.accepted:
        raise InvitationUsed
    if not invitation_rows.revoke(tx.connection, invitation_id, now=tx.now):
        return invitation
    place: PlaceKey = ("workspace", workspace_id)
    tx.audit("invitation", invitation_id, place, before=_described(invitation), after={"revoked": True})
    tx.tally.invitations["revoked"] += 1
    return replace(invitation, revoked_at=tx.now, updated_at=tx.now)


def token_hash(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _expiry(tx: Transaction, wanted: datetime | None, of_membership: datetime | None) -> datetime:
    """Return when the invitation expires: not after the membership that it gives."""
    if wanted is None:
        wanted = tx.now + timedelta(days=tx.rules.catalog.invitation_lifetime_days)
    if wanted <= tx.now:
        raise InvalidArgument("expires_at", "must be in the future")
    if wanted > tx.now + timedelta(days=MOST_DAYS):
        raise InvalidArgument("expires_at", f"must be at most {MOST_DAYS} days from now")
    return wanted if of_membership is None else min(wanted, of_membership)


def _replace(tx: Transaction, new: Invitation) -> None:
    """Kill the earlier pending invitations of the address."""
    place: PlaceKey = ("workspace", new.workspace_id)
    earlier = invitation_rows.pending_to(tx.connection, new.workspace_id, new.email, now=tx.now)
    for each in earlier:
        invitation_rows.revoke(tx.connection, each.id, now=tx.now)
        tx.audit("invitation", each.id, place, before=_described(each), after={"replaced_by": new.id})
    tx.tally.invitations["replaced"] += len(earlier)


def _described(invitation: Invitation) -> Mapping[str, Any]:
    """Return what the audit says of an invitation: not whom it is for."""
    until = invitation.membership_expires_at
    return {
        "role": invitation.role,
        "modules": None if invitation.modules is None else list(invitation.modules),
        "invited_by": invitation.invited_by,
        "expires_at": invitation.expires_at.isoformat(),
        "membership_expires_at": None if until is None else until.isoformat(),
    }
