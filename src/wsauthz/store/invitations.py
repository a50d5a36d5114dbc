"""Queries about invitations. A pending one is neither accepted nor revoked nor expired."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select
from sqlalchemy import update as update_rows

from wsauthz.model.invitations import Invitation
from wsauthz.store import rows
from wsauthz.store.tables import invitation_tokens, invitations


def add(connection: Connection, invitation: Invitation, *, token_hash: str) -> None:
    """Store a new invitation; of its token only the SHA-256, in hex.

    Raises:
        IdTaken: there is one with the id.

    """
    rows.add(connection, invitations, invitation)
    connection.execute(insert(invitation_tokens).values(invitation_id=invitation.id, token_hash=token_hash))


def find(connection: Connection, invitation_id: str) -> Invitation | None:
    """Return the invitation, pending or not; None: there is none."""
    return rows.find(connection, Invitation, select(invitations).where(invitations.c.id == invitation_id))


def find_by_token(connection: Connection, token_hash: str) -> Invitation | None:
    """Return the invitation whose token has the hash, pending or not; None: the token is unknown or dead."""
    with_token = select(invitations).join(invitation_tokens, invitation_tokens.c.invitation_id == invitations.c.id)
    return rows.find(connection, Invitation, with_token.where(invitation_tokens.c.token_hash == token_hash))


def pending_to(connection: Connection, workspace_id: str, email: str, *, now: datetime) -> list[Invitation]:
    """Return the pending invitations of an address to a workspace."""
    found = select(invitations).where(invitations.c.workspace_id == workspace_id, invitations.c.email == email)
    return rows.find_all(connection, Invitation, found.where(_pending(now)).order_by(invitations.c.id))


def pending_by(connection: Connection, user_id: str, *, now: datetime) -> list[Invitation]:
    """Return the pending invitations that a user sent, by id."""
    found = select(invitations).where(invitations.c.invited_by == user_id, _pending(now))
    return rows.find_all(connection, Invitation, found.order_by(invitations.c.id))


def page(
    connection: Connection,
    workspace_id: str,
    *,
    after: str,
    limit: int,
    email: str = "",
    pending_at: datetime | None = None,
) -> list[Invitation]:
    """Return up to ``limit`` invitations to the workspace, by id, from the first one after an id on.

    ``email`` takes only those of the address, ``pending_at`` only those that are pending then.
    """
    found = select(invitations).where(invitations.c.workspace_id == workspace_id, invitations.c.id > after)
    if email:
        found = found.where(invitations.c.email == email)
    if pending_at is not None:
        found = found.where(_pending(pending_at))
    return rows.find_all(connection, Invitation, found.order_by(invitations.c.id).limit(limit))


def revoke(connection: Connection, invitation_id: str, *, now: datetime) -> bool:
    """Revoke an invitation and forget its token; False: it was accepted or revoked before."""
    still_open = update_rows(invitations).where(invitations.c.id == invitation_id, _OPEN)
    if connection.execute(still_open.values(revoked_at=now, updated_at=now)).rowcount == 0:
        return False
    connection.execute(delete(invitation_tokens).where(invitation_tokens.c.invitation_id == invitation_id))
    return True


def revoke_in(connection: Connection, workspace_ids: Iterable[str], *, now: datetime) -> int:
    """Revoke every open invitation to the workspaces, forget the tokens, and return how many were open."""
    revoked = 0
    for ids in rows.batches(workspace_ids):
        of_these = select(invitations.c.id).where(invitations.c.workspace_id.in_(ids))
        connection.execute(delete(invitation_tokens).where(invitation_tokens.c.invitation_id.in_(of_these)))
        still_open = update_rows(invitations).where(invitations.c.workspace_id.in_(ids), _OPEN)
        revoked += connection.execute(still_open.values(revoked_at=now, updated_at=now)).rowcount
    return revoked


def accept(connection: Connection, invitation_id: str, *, accepted_by: str, now: datetime) -> bool:
    """Spend a pending invitation; False: somebody did before, or it was revoked, or it has expired."""
    spent = update_rows(invitations).where(invitations.c.id == invitation_id, _pending(now))
    values = {"accepted_at": now, "accepted_by": accepted_by, "updated_at": now}
    return connection.execute(spent.values(values)).rowcount == 1


def every(connection: Connection) -> Iterator[Invitation]:
    """Yield all invitations, pending or not, by id; streamed."""
    return rows.stream(connection, Invitation, select(invitations).order_by(invitations.c.id))


_OPEN = and_(invitations.c.accepted_at.is_(None), invitations.c.revoked_at.is_(None))


def _pending(now: datetime) -> ColumnElement[bool]:
    return and_(_OPEN, invitations.c.expires_at > now)
