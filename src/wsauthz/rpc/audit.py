"""AuditService: who did what."""

from wsauthz.model.places import PLATFORM
from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import audits
from wsauthz.tenancy.transaction import Reading
from wsauthz.v1 import audit_pb2 as pb


class AuditService:
    """Lists and verifies the audit."""

    def __init__(self, pages: Pages) -> None:
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

    def VerifyAudit(self, request: pb.VerifyAuditRequest, reading: Reading) -> pb.VerifyAuditResponse:  # noqa: ARG002 - uniform
        """Check the whole chain."""
        return message(pb.VerifyAuditResponse, audits.verify(reading))
