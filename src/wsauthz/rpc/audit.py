"""AuditService: who did what."""

from typing import Final

from wsauthz.model.errors import InvalidArgument
from wsauthz.model.places import PLATFORM
from wsauthz.policy.current import CarryOn
from wsauthz.replica.replica import Replica
from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.rpc.running import long_read
from wsauthz.store import audit_verification
from wsauthz.store.audit_verification import Head, parse_head
from wsauthz.tenancy import audits
from wsauthz.tenancy.transaction import Caller, Reading
from wsauthz.v1 import audit_pb2 as pb

_MOST_HEADS: Final = 100


class AuditService:
    """Lists and verifies the audit."""

    def __init__(self, replica: Replica, pages: Pages) -> None:
        self.replica = replica
        self.pages = pages

    def ListAuditEntries(self, request: pb.ListAuditEntriesRequest, reading: Reading) -> pb.ListAuditEntriesResponse:
        """List what was done in one place."""
        place = PLATFORM if request.WhichOneof("place") is None else fields.place(request)
        position = self.pages.position(reading.by, request)
        before = int(position) if position else None
        found, more = audits.list_(reading, place=place, before=before, limit=page_size(request))
        token = self.pages.token(reading.by, request, str(found[-1].number) if more else "")
        return pb.ListAuditEntriesResponse(
            entries=[message(pb.AuditEntry, each) for each in found], next_page_token=token
        )

    @long_read
    def VerifyAudit(self, request: pb.VerifyAuditRequest, by: Caller, carry_on: CarryOn) -> pb.VerifyAuditResponse:  # noqa: ARG002 - uniform
        """Check the whole chain."""
        found = audit_verification.verify(
            self.replica.database.read, _published(request), self.replica.audit_keys, advance=lambda _: carry_on()
        )
        return pb.VerifyAuditResponse(
            count=found.head.count,
            head=found.head.mac,
            problem=found.problem,
            promises=audits.promises(found),
            unverifiable=found.unverifiable,
        )


def _published(request: pb.VerifyAuditRequest) -> list[Head]:
    """Return the heads in the request.

    Raises:
        InvalidArgument: there are too many, or one of them is malformed.

    """
    if len(request.published_heads) > _MOST_HEADS:
        raise InvalidArgument("published_heads", f"must be at most {_MOST_HEADS}")
    try:
        return [parse_head(token) for token in request.published_heads]
    except ValueError as error:
        raise InvalidArgument("published_heads", str(error)) from None
