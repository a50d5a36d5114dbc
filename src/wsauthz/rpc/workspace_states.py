"""WorkspaceStateService: suspending, reinstating, activating, deactivating."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import workspace_states
from wsauthz.tenancy.transaction import Transaction
from wsauthz.v1 import workspace_states_pb2 as pb
from wsauthz.v1.workspaces_pb2 import Workspace


class WorkspaceStateService:
    """Sets the flags of workspaces."""

    def SuspendWorkspace(self, request: pb.SuspendWorkspaceRequest, tx: Transaction) -> pb.SuspendWorkspaceResponse:
        """Suspend a workspace."""
        workspace_id = fields.identifier(request, "workspace_id")
        workspace = workspace_states.suspend(tx, workspace_id=workspace_id, reason=request.reason)
        return pb.SuspendWorkspaceResponse(workspace=message(Workspace, workspace))

    def ReinstateWorkspace(
        self, request: pb.ReinstateWorkspaceRequest, tx: Transaction
    ) -> pb.ReinstateWorkspaceResponse:
        """Lift a workspace's suspension."""
        workspace = workspace_states.reinstate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.ReinstateWorkspaceResponse(workspace=message(Workspace, workspace))

    def ActivateWorkspace(self, request: pb.ActivateWorkspaceRequest, tx: Transaction) -> pb.ActivateWorkspaceResponse:
        """Make a workspace active."""
        workspace = workspace_states.activate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.ActivateWorkspaceResponse(workspace=message(Workspace, workspace))

    def DeactivateWorkspace(
        self, request: pb.DeactivateWorkspaceRequest, tx: Transaction
    ) -> pb.DeactivateWorkspaceResponse:
        """Make a workspace inactive."""
        workspace = workspace_states.deactivate(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.DeactivateWorkspaceResponse(workspace=message(Workspace, workspace))
