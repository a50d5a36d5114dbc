"""InvitationService: joining by code."""

from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.model.errors import Refused
from wsauthz.rpc import fields
from wsauthz.rpc.attempts import Attempts
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import invite_codes, joining
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import invitations_pb2 as pb

_UNKNOWN: Final = "unknown"
"""The way of a code that led nowhere, in metrics."""


class JoiningService:
    """Shows and rotates invite codes, and lets in whoever has one."""

    def __init__(self, metrics: Metrics, attempts: Attempts) -> None:
        self.metrics = metrics
        self.attempts = attempts

    def GetInviteCode(self, request: pb.GetInviteCodeRequest, reading: Reading) -> pb.GetInviteCodeResponse:
        """Show the invite code."""
        found = invite_codes.get(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetInviteCodeResponse, found)

    def RotateInviteCode(self, request: pb.RotateInviteCodeRequest, tx: Transaction) -> pb.RotateInviteCodeResponse:
        """Replace the invite code, or switch joining by code off."""
        workspace_id = fields.identifier(request, "workspace_id")
        rotated = invite_codes.rotate(tx, workspace_id=workspace_id, disable=request.disable)
        return message(pb.RotateInviteCodeResponse, rotated)

    def GetJoinInfo(self, request: pb.GetJoinInfoRequest, reading: Reading) -> pb.GetJoinInfoResponse:
        """Show by which names the workspace can be joined."""
        info = invite_codes.join_info(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetJoinInfoResponse, info)

    def JoinByCode(self, request: pb.JoinByCodeRequest, tx: Transaction) -> pb.JoinByCodeResponse:
        """Join what a code leads to."""
        way = _UNKNOWN
        try:
            with self.attempts.one_by(tx.actor):
                lead = joining.follow(tx, code=request.code)
                way = lead.way.value
                outcome = joining.enter(tx, lead)
        except Refused as refused:
            self.metrics.joins[way, refused.reason.lower()] += 1
            raise
        if isinstance(outcome, joining.Selection):
            tx.tally.joins[way, "select_workspace"] += 1
            return pb.JoinByCodeResponse(select_workspace=message(pb.SelectWorkspace, outcome))
        tx.tally.joins[way, "already_member" if outcome.already_member else "joined"] += 1
        return pb.JoinByCodeResponse(joined=message(pb.JoinedWorkspace, outcome))
