"""InvitationService: invitations to an email address."""

from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.model.errors import Refused
from wsauthz.rpc import fields
from wsauthz.rpc.attempts import Attempts
from wsauthz.rpc.encoding import message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import acceptance, invitations
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import invitations_pb2 as pb

_WAY: Final = "invitation"
"""This way of joining, in metrics."""


class InvitationService:
    """Sends, shows, lists and revokes invitations, and lets in whom they are for."""

    def __init__(self, pages: Pages, metrics: Metrics, attempts: Attempts) -> None:
        self.pages = pages
        self.metrics = metrics
        self.attempts = attempts

    def CreateInvitation(self, request: pb.CreateInvitationRequest, tx: Transaction) -> pb.CreateInvitationResponse:
        """Invite an email address."""
        try:
            sent = invitations.create(
                tx,
                workspace_id=fields.identifier(request, "workspace_id"),
                email=request.email,
                role=request.role,
                modules=fields.modules(request),
                expires_at=fields.instant(request, "expires_at"),
                membership_expires_at=fields.instant(request, "membership_expires_at"),
            )
        except Refused:
            self.metrics.invitations["refused"] += 1
            raise
        return message(pb.CreateInvitationResponse, sent)

    def GetInvitation(self, request: pb.GetInvitationRequest, reading: Reading) -> pb.GetInvitationResponse:
        """Show what a token invites to."""
        with self.attempts.one_by(reading.actor):
            return message(pb.GetInvitationResponse, acceptance.preview(reading, token=request.token))

    def ListInvitations(self, request: pb.ListInvitationsRequest, reading: Reading) -> pb.ListInvitationsResponse:
        """List invitations to a workspace."""
        found, more = invitations.list_(
            reading,
            workspace_id=fields.identifier(request, "workspace_id"),
            email=request.email,
            include_closed=request.include_closed,
            after=self.pages.position(reading.by, request),
            limit=page_size(request),
        )
        token = self.pages.token(reading.by, request, found[-1].id if more else "")
        listed = [message(pb.Invitation, each) for each in found]
        return pb.ListInvitationsResponse(invitations=listed, next_page_token=token)

    def RevokeInvitation(self, request: pb.RevokeInvitationRequest, tx: Transaction) -> pb.RevokeInvitationResponse:
        """Kill a pending invitation."""
        workspace_id = fields.identifier(request, "workspace_id")
        invitation_id = fields.identifier(request, "invitation_id")
        invitation = invitations.revoke(tx, workspace_id=workspace_id, invitation_id=invitation_id)
        return pb.RevokeInvitationResponse(invitation=message(pb.Invitation, invitation))

    def AcceptInvitation(self, request: pb.AcceptInvitationRequest, tx: Transaction) -> pb.AcceptInvitationResponse:
        """Make the actor, whom the invitation is for, a member."""
        try:
            with self.attempts.one_by(tx.actor):
                joined = acceptance.accept(tx, token=request.token)
        except Refused as refused:
            self.metrics.joins[_WAY, refused.reason.lower()] += 1
            self.metrics.invitations["refused"] += 1
            raise
        tx.tally.joins[_WAY, "already_member" if joined.already_member else "joined"] += 1
        return message(pb.AcceptInvitationResponse, joined)
