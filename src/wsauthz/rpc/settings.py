"""SettingsService: what workspaces are set up with."""

from google.protobuf.struct_pb2 import Struct

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message, workspace_message
from wsauthz.rpc.structs import plain
from wsauthz.tenancy import module_settings
from wsauthz.tenancy import settings as workspace_settings
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import settings_pb2 as pb


class SettingsService:
    """Sets modules, and what modules are set to."""

    def SetModules(self, request: pb.SetModulesRequest, tx: Transaction) -> pb.SetModulesResponse:
        """Replace a workspace's own modules."""
        workspace_id = fields.identifier(request, "workspace_id")
        workspace = workspace_settings.set_modules(tx, workspace_id=workspace_id, module_list=request.modules)
        return pb.SetModulesResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def GetModuleSettings(self, request: pb.GetModuleSettingsRequest, reading: Reading) -> pb.GetModuleSettingsResponse:
        """Show what a module is set to."""
        workspace_id = fields.identifier(request, "workspace_id")
        found = module_settings.get(reading, workspace_id=workspace_id, module=request.module)
        if found is None:
            return pb.GetModuleSettingsResponse(settings=Struct())
        return message(pb.GetModuleSettingsResponse, found)

    def UpdateModuleSettings(
        self, request: pb.UpdateModuleSettingsRequest, tx: Transaction
    ) -> pb.UpdateModuleSettingsResponse:
        """Replace what a module is set to."""
        workspace_id = fields.identifier(request, "workspace_id")
        settings = plain(request, "settings")
        module_settings.update(tx, workspace_id=workspace_id, module=request.module, settings=settings)
        return pb.UpdateModuleSettingsResponse(settings=request.settings)
