"""UserService: the actor's profile, and switching between workspaces."""

from wsauthz.model.identifiers import check_id
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc import fields
from wsauthz.rpc.access import access_message
from wsauthz.rpc.encoding import message, profile_message
from wsauthz.tenancy import profiles, switching
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import users_pb2 as pb
from wsauthz.v1.settings_pb2 import GetSubscriptionResponse
from wsauthz.v1.workspaces_pb2 import GetWorkspaceResponse


class ProfileService:
    """Changes the actor's default workspace, and says which one is the current one."""

    def __init__(self, policy: CurrentPolicy) -> None:
        self.policy = policy

    def UpdateProfile(self, request: pb.UpdateProfileRequest, tx: Transaction) -> pb.UpdateProfileResponse:
        """Set or clear the default workspace."""
        default = request.default_workspace_id if request.HasField("default_workspace_id") else None
        if default:
            check_id("default_workspace_id", default)
        return pb.UpdateProfileResponse(user=profile_message(profiles.update(tx, default_workspace_id=default)))

    def ResolveCurrentWorkspace(
        self, request: pb.ResolveCurrentWorkspaceRequest, reading: Reading
    ) -> pb.ResolveCurrentWorkspaceResponse:
        """Say which workspace a frontend should open."""
        current = profiles.resolve(
            reading, route=request.route, store=request.store, local_storage=request.local_storage
        )
        return message(pb.ResolveCurrentWorkspaceResponse, current)

    def SwitchWorkspace(self, request: pb.SwitchWorkspaceRequest, tx: Transaction) -> pb.SwitchWorkspaceResponse:
        """Make the workspace the actor's default and show it."""
        switched = switching.switch(tx, workspace_id=fields.identifier(request, "workspace_id"))
        access = access_message(switched.access, switched.place)
        access.policy_version = self.policy.bundle.version
        shown = switched.subscription
        return pb.SwitchWorkspaceResponse(
            user=message(pb.User, switched.user),
            workspace=message(GetWorkspaceResponse, switched.view),
            access=access,
            subscription=message(GetSubscriptionResponse, shown) if shown else None,
            subscription_error=switched.subscription_error,
        )
