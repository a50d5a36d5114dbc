"""SettingsService: which providers run for a workspace."""

from wsauthz.rpc import fields
from wsauthz.tenancy import providers
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import settings_pb2 as pb


class ProviderService:
    """Shows and sets providers."""

    def GetProviders(self, request: pb.GetProvidersRequest, reading: Reading) -> pb.GetProvidersResponse:
        """Show them."""
        found = providers.get(reading, workspace_id=fields.identifier(request, "workspace_id"))
        available = [pb.Provider(name=name, title=title) for name, title in found.available.items()]
        return pb.GetProvidersResponse(enabled_providers=found.enabled, available_providers=available)

    def SetProviders(self, request: pb.SetProvidersRequest, tx: Transaction) -> pb.SetProvidersResponse:
        """Replace them."""
        workspace_id = fields.identifier(request, "workspace_id")
        enabled = providers.set_providers(tx, workspace_id=workspace_id, providers=request.providers)
        return pb.SetProvidersResponse(enabled_providers=enabled)
