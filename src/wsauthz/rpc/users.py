"""UserService: users as the application mirrors them."""

from typing import Final

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.tenancy import accounts, users
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import users_pb2 as pb

_UPSERTED: Final = ("is_active", "email", "email_verified", "name", "image_url", "source_version")


class UserService:
    """Creates, changes, shows and deletes users."""

    def UpsertUser(self, request: pb.UpsertUserRequest, tx: Transaction) -> pb.UpsertUserResponse:
        """Create the user or change the fields that are set."""
        upserted = users.upsert(
            tx,
            user_id=fields.user_id(request),
            kind=fields.user_kind(request),
            **fields.given(request, *_UPSERTED),
        )
        return message(pb.UpsertUserResponse, upserted)

    def GetUser(self, request: pb.GetUserRequest, reading: Reading) -> pb.GetUserResponse:
        """Show one user."""
        return pb.GetUserResponse(user=message(pb.User, users.get(reading, user_id=fields.user_id(request))))

    def DeleteAccount(self, request: pb.DeleteAccountRequest, tx: Transaction) -> pb.DeleteAccountResponse:
        """Delete an account with what nobody else owns."""
        user_id = fields.user_id(request) if request.user_id else tx.actor
        return message(pb.DeleteAccountResponse, accounts.delete(tx, user_id=user_id))
