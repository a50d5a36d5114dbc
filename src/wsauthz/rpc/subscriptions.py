"""SettingsService: subscriptions."""

from wsauthz.model.errors import InvalidArgument
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import subscriptions
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import settings_pb2 as pb


class SubscriptionService:
    """Shows and sets subscriptions."""

    def GetSubscription(self, request: pb.GetSubscriptionRequest, reading: Reading) -> pb.GetSubscriptionResponse:
        """Show the subscription that counts in a workspace."""
        shown = subscriptions.get(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetSubscriptionResponse, shown)

    def SetSubscription(self, request: pb.SetSubscriptionRequest, tx: Transaction) -> pb.SetSubscriptionResponse:
        """Set a workspace's own subscription."""
        subscription = subscriptions.set_(
            tx,
            workspace_id=fields.identifier(request, "workspace_id"),
            plan=request.plan,
            plan_type=request.plan_type,
            status=_status(request),
        )
        return pb.SetSubscriptionResponse(subscription=message(pb.Subscription, subscription))


def _status(request: pb.SetSubscriptionRequest) -> SubscriptionStatus:
    try:
        return SubscriptionStatus(request.status)
    except ValueError:
        raise InvalidArgument("status", "must be active, trialing, past_due, expired or cancelled") from None
