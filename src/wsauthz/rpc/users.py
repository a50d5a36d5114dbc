"""UserService: users as the application mirrors them."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import users
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import users_pb2 as pb


class UserService:
    """Creates, changes and shows users."""

    def UpsertUser(self, request: pb.UpsertUserRequest, tx: Transaction) -> pb.UpsertUserResponse:
        """Create the user or change the fields that are set."""
        user, created = users.upsert(
            tx,
            user_id=fields.user_id(request),
            kind=fields.user_kind(request),
            **fields.given(request, "is_active", "email", "email_verified", "name", "image_url"),
        )
        return pb.UpsertUserResponse(user=message(pb.User, user), created=created)

    def GetUser(self, request: pb.GetUserRequest, reading: Reading) -> pb.GetUserResponse:
        """Show one user."""
        return pb.GetUserResponse(user=message(pb.User, users.get(reading, user_id=fields.user_id(request))))
