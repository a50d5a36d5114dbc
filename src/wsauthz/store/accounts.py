"""What a user leaves behind outside of places: invitations that still count, visits, answers that would be repeated."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from wsauthz.model.invitations import Invitation
from wsauthz.store import invitations as invitation_rows
from wsauthz.store import rows
from wsauthz.store.tables import entries, invitations, request_ids


def revoke_invitations(connection: Connection, user_id: str, address: str | None, *, now: datetime) -> list[Invitation]:
    """Revoke the pending invitations that the user sent and, with an address, those to it; return them as they were."""
    found = invitation_rows.pending_by(connection, user_id, now=now)
    if address is not None:
        sent = {invitation.id for invitation in found}
        found += [invitation for invitation in _pending_to(connection, address, now) if invitation.id not in sent]
    return [invitation for invitation in found if invitation_rows.revoke(connection, invitation.id, now=now)]


def forget(connection: Connection, user_id: str) -> None:
    """Delete when the user was where, and the answers kept for repetitions of its requests."""
    connection.execute(delete(entries).where(entries.c.user_id == user_id))
    connection.execute(delete(request_ids).where(request_ids.c.actor == user_id))


def _pending_to(connection: Connection, address: str, now: datetime) -> list[Invitation]:
    to_it = select(invitations).where(
        invitations.c.email == address,
        invitations.c.accepted_at.is_(None),
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > now,
    )
    return rows.find_all(connection, Invitation, to_it.order_by(invitations.c.id))
