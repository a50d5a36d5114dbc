"""UserService: users as the application mirrors them."""

from typing import Any, Final

from wsauthz.model.errors import InvalidArgument, Refused
from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message, profile_message
from wsauthz.tenancy import accounts, mirroring, users
from wsauthz.tenancy.mirroring import Upserted, UserEvent
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import users_pb2 as pb

MOST_USERS: Final = 1_000
_UPSERTED: Final = ("is_active", "email", "email_verified", "name", "image_url", "source_version")


class UserService:
    """Creates, changes, shows and deletes users."""

    def UpsertUser(self, request: pb.UpsertUserRequest, tx: Transaction) -> pb.UpsertUserResponse:
        """Create the user or change the fields that are set."""
        return message(pb.UpsertUserResponse, mirroring.upsert(tx, _event(request)))

    def BatchUpsertUsers(self, request: pb.BatchUpsertUsersRequest, tx: Transaction) -> pb.BatchUpsertUsersResponse:
        """Apply many events; each succeeds or fails alone."""
        if not 1 <= len(request.users) <= MOST_USERS:
            raise InvalidArgument("users", f"must be 1 to {MOST_USERS:,}")
        read = [_read(item) for item in request.users]
        results = iter(mirroring.upsert_many(tx, [event for event in read if isinstance(event, UserEvent)]))
        found = [next(results) if isinstance(event, UserEvent) else event for event in read]
        tx.tally.rejected += [each for each in found if isinstance(each, Refused)]
        return pb.BatchUpsertUsersResponse(results=map(_result, found))

    def GetUser(self, request: pb.GetUserRequest, reading: Reading) -> pb.GetUserResponse:
        """Show one user."""
        return pb.GetUserResponse(user=profile_message(users.get(reading, user_id=fields.user_id(request))))

    def DeleteAccount(self, request: pb.DeleteAccountRequest, tx: Transaction) -> pb.DeleteAccountResponse:
        """Delete an account with what nobody else owns."""
        user_id = fields.user_id(request) if request.user_id else tx.actor
        return message(pb.DeleteAccountResponse, accounts.delete(tx, user_id=user_id))


def _event(request: Any) -> UserEvent:
    return UserEvent(
        user_id=fields.user_id(request), kind=fields.user_kind(request), **fields.given(request, *_UPSERTED)
    )


def _read(item: pb.UserEvent) -> UserEvent | Refused:
    """Return the event, or what is wrong with it: it fails alone."""
    try:
        return _event(item)
    except Refused as refused:
        return refused


def _result(found: Upserted | Refused) -> pb.BatchUpsertUsersResult:
    if isinstance(found, Refused):
        return pb.BatchUpsertUsersResult(
            outcome=pb.USER_OUTCOME_FAILED, reason=found.reason, error=str(found), field=found.field
        )
    outcome = pb.USER_OUTCOME_CHANGED if found.changed else pb.USER_OUTCOME_UNCHANGED
    if found.created:
        outcome = pb.USER_OUTCOME_CREATED
    elif found.out_of_date:
        outcome = pb.USER_OUTCOME_OUT_OF_DATE
    return pb.BatchUpsertUsersResult(outcome=outcome, source_version=found.source_version)
