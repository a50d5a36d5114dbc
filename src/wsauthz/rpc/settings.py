"""SettingsService: what workspaces are set up with."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import settings
from wsauthz.tenancy.transaction import Transaction
from wsauthz.v1 import settings_pb2 as pb
from wsauthz.v1.workspaces_pb2 import Workspace


class SettingsService:
    """Sets modules."""

    def SetModules(self, request: pb.SetModulesRequest, tx: Transaction) -> pb.SetModulesResponse:
        """Replace a workspace's own modules."""
        workspace_id = fields.identifier(request, "workspace_id")
        workspace = settings.set_modules(tx, workspace_id=workspace_id, module_list=request.modules)
        return pb.SetModulesResponse(workspace=message(Workspace, workspace))
