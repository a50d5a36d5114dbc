"""WorkspaceStateService: suspending, reinstating, activating, deactivating, and passing ownership on."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message, workspace_message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import ownership, workspace_states
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import workspace_states_pb2 as pb
from wsauthz.v1.memberships_pb2 import Member, Membership


class WorkspaceStateService:
    """Sets the flags and the primary owner of workspaces."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def SuspendWorkspace(self, request: pb.SuspendWorkspaceRequest, tx: Transaction) -> pb.SuspendWorkspaceResponse:
        """Suspend a workspace."""
        workspace_id = fields.identifier(request, "workspace_id")
        workspace = workspace_states.suspend(tx, workspace_id=workspace_id, reason=request.reason)
        return pb.SuspendWorkspaceResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def ReinstateWorkspace(
        self, request: pb.ReinstateWorkspaceRequest, tx: Transaction
    ) -> pb.ReinstateWorkspaceResponse:
        """Lift a workspace's suspension."""
        workspace = workspace_states.reinstate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.ReinstateWorkspaceResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def ActivateWorkspace(self, request: pb.ActivateWorkspaceRequest, tx: Transaction) -> pb.ActivateWorkspaceResponse:
        """Make a workspace active."""
        workspace = workspace_states.activate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.ActivateWorkspaceResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def DeactivateWorkspace(
        self, request: pb.DeactivateWorkspaceRequest, tx: Transaction
    ) -> pb.DeactivateWorkspaceResponse:
        """Make a workspace inactive."""
        workspace = workspace_states.deactivate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.DeactivateWorkspaceResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def TransferOwnership(self, request: pb.TransferOwnershipRequest, tx: Transaction) -> pb.TransferOwnershipResponse:
        """Make a member the primary owner."""
        workspace_id, user_id = fields.identifier(request, "workspace_id"), fields.user_id(request)
        workspace, membership = ownership.transfer(tx, workspace_id=workspace_id, user_id=user_id)
        return pb.TransferOwnershipResponse(
            workspace=workspace_message(workspace, tx.rules.catalog), membership=message(Membership, membership)
        )

    def ListOwnerCandidates(
        self, request: pb.ListOwnerCandidatesRequest, reading: Reading
    ) -> pb.ListOwnerCandidatesResponse:
        """List whom ownership may be transferred to."""
        found, more = ownership.list_candidates(
            reading,
            workspace_id=fields.identifier(request, "workspace_id"),
            query=fields.search(request, "query"),
            after=self.pages.position(reading.by, request),
            limit=page_size(request),
        )
        token = self.pages.token(reading.by, request, found[-1].membership.user_id if more else "")
        members = [message(Member, each) for each in found]
        return pb.ListOwnerCandidatesResponse(members=members, next_page_token=token)
