"""MembershipService: who is in which workspace or organization."""

from typing import Any, Final

from wsauthz.rpc import fields
from wsauthz.rpc.attempts import Attempts
from wsauthz.rpc.encoding import message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import members, memberships
from wsauthz.tenancy.memberships import AddMemberOutcome
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import memberships_pb2 as pb

_CHANGEABLE: Final = ("role", "permissions", "modules", "is_active", "expires_at")


class MembershipService:
    """Adds, shows, changes and removes members."""

    def __init__(self, pages: Pages, attempts: Attempts) -> None:
        self.pages = pages
        self.attempts = attempts

    def AddMember(self, request: pb.AddMemberRequest, tx: Transaction) -> pb.AddMemberResponse:
        """Add a user."""
        user_id = fields.user_id(request)
        membership = memberships.add(tx, place=fields.place(request), user_id=user_id, **_terms(request))
        return pb.AddMemberResponse(membership=message(pb.Membership, membership))

    def AddMemberByEmail(self, request: pb.AddMemberByEmailRequest, tx: Transaction) -> pb.AddMemberByEmailResponse:
        """Add a user by a verified address."""
        place = fields.place(request)
        with self.attempts.one_by(tx.actor) as attempt:
            outcome, membership = memberships.add_by_email(tx, place=place, email=request.email, **_terms(request))
            attempt.leads_nowhere = outcome is AddMemberOutcome.NOT_FOUND
        return pb.AddMemberByEmailResponse(
            outcome=outcome.value,  # type: ignore[arg-type]  # the numbers are those of memberships.proto
            membership=message(pb.Membership, membership) if membership else None,
        )

    def GetMember(self, request: pb.GetMemberRequest, reading: Reading) -> pb.GetMemberResponse:
        """Show one member."""
        member = members.get(reading, place=fields.place(request), user_id=fields.user_id(request))
        return pb.GetMemberResponse(member=message(pb.Member, member))

    def ListMembers(self, request: pb.ListMembersRequest, reading: Reading) -> pb.ListMembersResponse:
        """List members."""
        found, more = members.list_(
            reading,
            place=fields.place(request),
            query=fields.search(request, "query"),
            role=fields.search(request, "role"),
            is_active=request.is_active if request.HasField("is_active") else None,
            after=self.pages.position(reading.by, request),
            limit=page_size(request),
        )
        last = found[-1].membership.user_id if more else ""
        token = self.pages.token(reading.by, request, last)
        return pb.ListMembersResponse(members=[message(pb.Member, each) for each in found], next_page_token=token)

    def UpdateMember(self, request: pb.UpdateMemberRequest, tx: Transaction) -> pb.UpdateMemberResponse:
        """Change a member."""
        paths = fields.mask(request, _CHANGEABLE)
        terms = {**_terms(request), "is_active": request.is_active}
        values = {path: terms[path] for path in paths}
        place, user_id = fields.place(request), fields.user_id(request)
        membership = memberships.update(tx, place=place, user_id=user_id, values=values)
        return pb.UpdateMemberResponse(membership=message(pb.Membership, membership))

    def RemoveMember(self, request: pb.RemoveMemberRequest, tx: Transaction) -> pb.RemoveMemberResponse:
        """Remove somebody else."""
        memberships.remove(tx, place=fields.place(request), user_id=fields.user_id(request))
        return pb.RemoveMemberResponse()

    def Leave(self, request: pb.LeaveRequest, tx: Transaction) -> pb.LeaveResponse:
        """Remove the actor."""
        memberships.leave(tx, place=fields.place(request))
        return pb.LeaveResponse()


def _terms(request: Any) -> dict[str, Any]:
    """Return what the request wants a membership to say."""
    return {
        "role": request.role,
        "permissions": tuple(request.permissions),
        "modules": fields.modules(request),
        "expires_at": fields.instant(request, "expires_at"),
    }
