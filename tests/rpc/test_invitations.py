"""Invitations: sent to an address, accepted once, by whoever has that address verified."""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from sqlalchemy import update

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tables import found
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, attempt, refusal
from wsauthz.store.database import Database
from wsauthz.store.tables import invitations as invitations_table
from wsauthz.v1 import (
    audit_pb2,
    memberships_pb2,
    organizations_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)
from wsauthz.v1 import invitations_pb2 as pb

DENIED = grpc.StatusCode.PERMISSION_DENIED
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
EXISTS = grpc.StatusCode.ALREADY_EXISTS
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
CALLERS = 16
WEEK = 7 * 24 * 3600


@pytest.fixture(scope="module")
def eventpalour(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the eventpalour bundle with an operator, on each kind of database."""
    with serving(make_database(), "eventpalour") as tenants:
        yield tenants


def address(user: str) -> str:
    return f"{user}@example.com"


def invite(tenants: Tenants, actor: str, workspace: str, email: str, **fields: Any) -> pb.CreateInvitationResponse:
    request = pb.CreateInvitationRequest(workspace_id=workspace, email=email, **fields)
    return tenants.client(actor).invitations.CreateInvitation(request)


def inviting(tenants: Tenants, actor: str, workspace: str, email: str = "new@example.com", **fields: Any) -> Refusal:
    request = pb.CreateInvitationRequest(workspace_id=workspace, email=email, **fields)
    return refusal(tenants.client(actor).invitations.CreateInvitation, request)


def accept(tenants: Tenants, actor: str, token: str, **fields: Any) -> pb.AcceptInvitationResponse:
    return tenants.client(actor).invitations.AcceptInvitation(pb.AcceptInvitationRequest(token=token, **fields))


def accepting(tenants: Tenants, actor: str, token: str) -> Refusal:
    return refusal(tenants.client(actor).invitations.AcceptInvitation, pb.AcceptInvitationRequest(token=token))


def look(tenants: Tenants, actor: str, token: str) -> pb.GetInvitationResponse:
    return tenants.client(actor).invitations.GetInvitation(pb.GetInvitationRequest(token=token))


def looking(tenants: Tenants, actor: str, token: str) -> Refusal:
    return refusal(tenants.client(actor).invitations.GetInvitation, pb.GetInvitationRequest(token=token))


def revoke(tenants: Tenants, actor: str, workspace: str, invitation: str) -> pb.RevokeInvitationResponse:
    request = pb.RevokeInvitationRequest(workspace_id=workspace, invitation_id=invitation)
    return tenants.client(actor).invitations.RevokeInvitation(request)


def revoking(tenants: Tenants, actor: str, workspace: str, invitation: str) -> Refusal:
    request = pb.RevokeInvitationRequest(workspace_id=workspace, invitation_id=invitation)
    return refusal(tenants.client(actor).invitations.RevokeInvitation, request)


def listed(tenants: Tenants, actor: str, workspace: str, **fields: Any) -> list[str]:
    request = pb.ListInvitationsRequest(workspace_id=workspace, **fields)
    return [each.id for each in tenants.client(actor).invitations.ListInvitations(request).invitations]


def change(tenants: Tenants, by: str, place: dict[str, Any], user: str, **fields: Any) -> None:
    request = memberships_pb2.UpdateMemberRequest(user_id=user, **place, **fields)
    request.update_mask.paths.extend(fields)
    tenants.client(by).memberships.UpdateMember(request)


def remove(tenants: Tenants, by: str, workspace: str, user: str) -> None:
    request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    tenants.client(by).memberships.RemoveMember(request)


def role(tenants: Tenants, workspace: str, user: str) -> str:
    """Return the role of a member as the operator sees it; empty: there is none."""
    request = memberships_pb2.GetMemberRequest(workspace_id=workspace, user_id=user)
    answer = attempt(tenants.operator.memberships.GetMember, request)
    return "" if isinstance(answer, Refusal) else str(answer.member.membership.role)


def soon(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


def dead(tenants: Tenants, actor: str, token: str) -> bool:
    """Tell whether the token is one that nobody ever heard of, for whoever looks and for whoever accepts."""
    unknown = looking(tenants, tenants.user(), "0" * 64)
    assert (unknown.code, unknown.reason, unknown.kind) == (NOT_FOUND, "INVITATION_NOT_FOUND", "NotFoundError")
    return looking(tenants, actor, token) == unknown == accepting(tenants, actor, token)


# --- CreateInvitation -------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-019", "REQ-021", "REQ-029", "REQ-030", "REQ-037")
def test_an_invitation_has_a_secret_token_and_a_week(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    answer = invite(dam, owner, workspace, "  Someone.New@Example.COM ")
    invitation = answer.invitation
    assert re.fullmatch(r"[0-9a-f]{64}", answer.token)
    assert invitation.id.startswith("invitation_")
    assert (invitation.workspace_id, invitation.invited_by) == (workspace, owner)
    assert (invitation.email, invitation.role) == ("someone.new@example.com", "member")
    assert not invitation.HasField("modules")
    assert not invitation.accepted
    assert not any(invitation.HasField(each) for each in ("accepted_at", "accepted_by", "revoked_at"))
    assert invitation.expires_at.ToSeconds() - invitation.created_at.ToSeconds() == WEEK
    assert answer.revision == dam.revision
    assert answer.token != invite(dam, owner, workspace, "other@example.com").token


@pytest.mark.req("REQ-019", "REQ-021")
def test_everything_that_is_given_is_stored(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    until = soon(days=89, hours=23)
    given = {"role": "viewer", "modules": modules("dam"), "expires_at": until}
    invitation = invite(dam, owner, workspace, "new@example.com", **given).invitation
    assert (invitation.role, list(invitation.modules.modules)) == ("viewer", ["dam"])
    assert invitation.expires_at.ToDatetime(tzinfo=UTC) == until
    nothing = invite(dam, owner, workspace, "none@example.com", modules=modules()).invitation
    assert nothing.HasField("modules")
    assert not nothing.modules.modules


@pytest.mark.req("REQ-029")
@pytest.mark.parametrize("given", ["moderator", "member"])
def test_only_those_who_manage_members_invite(eventpalour: Tenants, given: str) -> None:
    owner = eventpalour.user()
    workspace = eventpalour.workspace(owner).id
    admin = eventpalour.member(owner, workspace, role="admin")
    assert invite(eventpalour, admin, workspace, "new@example.com", role="admin").token
    refused = inviting(eventpalour, eventpalour.member(owner, workspace, role=given), workspace)
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_INSUFFICIENT", "AuthError")


def test_a_stranger_learns_nothing_of_the_workspace(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    invitation = invite(dam, owner, workspace, "new@example.com").invitation.id
    assert inviting(dam, stranger, workspace) == inviting(dam, stranger, "workspace_0000000000000000")
    assert revoking(dam, stranger, workspace, invitation) == revoking(
        dam, stranger, "workspace_0000000000000000", invitation
    )
    listing = [
        refusal(dam.client(stranger).invitations.ListInvitations, pb.ListInvitationsRequest(workspace_id=each))
        for each in (workspace, "workspace_0000000000000000")
    ]
    assert listing[0] == listing[1]
    assert listing[0].reason == "WORKSPACE_NOT_FOUND"


@pytest.mark.req("REQ-029")
@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"email": ""}, "email", "INVALID_ARGUMENT"),
        ({"email": "nobody"}, "email", "INVALID_ARGUMENT"),
        ({"email": "a b@example.com"}, "email", "INVALID_ARGUMENT"),
        ({"email": "a@example.com\x00"}, "email", "INVALID_ARGUMENT"),
        ({"email": f"{'a' * 320}@example.com"}, "email", "INVALID_ARGUMENT"),
        ({"role": "king"}, "role", "UNKNOWN_ROLE"),
        ({"role": "owner"}, "role", "UNKNOWN_ROLE"),
        ({"role": "operator"}, "role", "UNKNOWN_ROLE"),
        ({"role": "organization-owner"}, "role", "UNKNOWN_ROLE"),
        ({"modules": modules("warp")}, "modules", "UNKNOWN_MODULE"),
        ({"modules": modules("dam", "dam")}, "modules", "INVALID_ARGUMENT"),
        ({"expires_at": {"seconds": 1}}, "expires_at", "INVALID_ARGUMENT"),
        ({"expires_at": {"seconds": int(time.time()) + 91 * 24 * 3600}}, "expires_at", "INVALID_ARGUMENT"),
        ({"expires_at": {"seconds": 1 << 60}}, "expires_at", "INVALID_ARGUMENT"),
        ({"workspace_id": "w w"}, "workspace_id", "INVALID_ARGUMENT"),
        ({"workspace_id": ""}, "workspace_id", "INVALID_ARGUMENT"),
        ({"request_id": "\x07"}, "request_id", "INVALID_ARGUMENT"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    dam: Tenants, fields: dict[str, Any], field: str, reason: str
) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    before = dam.revision
    request = pb.CreateInvitationRequest(**{"workspace_id": workspace, "email": "new@example.com", **fields})
    refused = refusal(dam.client(owner).invitations.CreateInvitation, request)
    assert (refused.code, refused.reason, refused.fields) == (INVALID, reason, (field,))
    assert dam.revision == before


def test_owner_like_roles_take_no_list_of_modules(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    refused = inviting(oneglanse, owner, workspace, role="owner", modules=modules())
    assert (refused.code, refused.fields) == (INVALID, ("modules",))
    assert invite(oneglanse, owner, workspace, "new@example.com", role="owner").invitation.role == "owner"


@pytest.mark.req("REQ-029")
@pytest.mark.parametrize("more", [{"role": "admin"}, {"modules": modules("dam", "analytics")}, {"modules": None}])
def test_nobody_invites_to_more_than_they_hold(dam: Tenants, more: dict[str, Any]) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace, permissions=["can-manage-users"], modules=modules("dam"))
    usual = {"role": "member", "modules": modules("dam")}
    assert invite(dam, manager, workspace, "new@example.com", **usual).token
    before = dam.revision
    refused = inviting(dam, manager, workspace, **{**usual, **more})
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_CEILING", "AuthError")
    assert dam.revision == before


@pytest.mark.req("REQ-049")
def test_a_live_member_is_not_invited(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    refused = inviting(dam, owner, workspace, f" {member.upper()}@example.com")
    assert (refused.code, refused.reason) == (EXISTS, "ALREADY_MEMBER")
    change(dam, owner, {"workspace_id": workspace}, member, is_active=False)
    assert inviting(dam, owner, workspace, address(member)).reason == "ALREADY_MEMBER"


def test_an_unverified_address_is_nobodys(dam: Tenants) -> None:
    owner, member = dam.user(), dam.user(verified=False)
    workspace = dam.workspace(owner).id
    dam.member(owner, workspace, user=member)
    assert invite(dam, owner, workspace, address(member)).token


@pytest.mark.req("REQ-022")
def test_inviting_an_address_again_kills_the_earlier_token(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace, elsewhere = dam.workspace(owner).id, dam.workspace(owner).id
    first = invite(dam, owner, workspace, address(user))
    other = invite(dam, owner, elsewhere, address(user))
    second = invite(dam, owner, workspace, address(user).upper(), role="viewer")
    assert dead(dam, user, first.token)
    assert listed(dam, owner, workspace, email=address(user)) == [second.invitation.id]
    assert accept(dam, user, second.token).membership.role == "viewer"
    assert accept(dam, user, other.token).membership.workspace_id == elsewhere


def test_a_repeated_request_gives_the_invitation_without_its_token(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    first = invite(dam, owner, workspace, address(user), request_id="r-1")
    dam.user()  # something else happens
    again = invite(dam, owner, workspace, address(user), request_id="r-1")
    assert first.token
    assert again.token == ""
    assert (again.invitation, again.revision) == (first.invitation, first.revision)
    assert len(listed(dam, owner, workspace)) == 1
    assert accept(dam, user, first.token).membership.role == "member"


# --- GetInvitation ----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-031", "REQ-034")
def test_the_holder_of_a_token_sees_what_it_invites_to(dam: Tenants) -> None:
    owner, user, other = dam.user("anna"), dam.user(), dam.user()
    organization = dam.organization(owner, "Acme Inc")
    workspace = dam.workspace(owner, "North", organization_id=organization.id)
    sent = invite(dam, owner, workspace.id, address(user), role="viewer")
    before = dam.revision
    preview = look(dam, user, sent.token)
    assert preview.invitation == sent.invitation
    assert (preview.workspace.id, preview.workspace.name) == (workspace.id, "North")
    assert preview.workspace.slug == workspace.slug
    assert (preview.organization.id, preview.organization.name) == (organization.id, "Acme Inc")
    assert preview.organization.slug == organization.slug
    assert (preview.inviter_name, preview.is_for_actor) == ("Anna", True)
    assert not look(dam, other, sent.token).is_for_actor
    assert not look(dam, "never|mirrored", sent.token).is_for_actor
    assert dam.revision == before


def test_a_stand_alone_workspace_has_no_organization_to_show(dam: Tenants) -> None:
    sent = invite(dam, OPERATOR, dam.workspace(dam.user()).id, "new@example.com")
    preview = look(dam, dam.user(), sent.token)
    assert not preview.HasField("organization")
    assert preview.inviter_name == ""


@pytest.mark.parametrize("token", ["", "0" * 65, "a b", "0" * 63 + "\n", "\x00", "ä" * 64, "x" * 10_000])
def test_what_is_no_token_is_refused_without_being_repeated(dam: Tenants, token: str) -> None:
    user = dam.user()
    for refused in (looking(dam, user, token), accepting(dam, user, token)):
        assert (refused.code, refused.reason, refused.fields) == (INVALID, "INVALID_ARGUMENT", ("token",))
        assert refused.message == "token: is no invitation token"


# --- ListInvitations --------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-022")
def test_pending_invitations_are_listed_and_the_others_on_request(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sent = {name: invite(dam, owner, workspace, f"{name}@example.com") for name in ("pending", "revoked", "expired")}
    sent["accepted"] = invite(dam, owner, workspace, address(user))
    accept(dam, user, sent["accepted"].token)
    revoke(dam, owner, workspace, sent["revoked"].invitation.id)
    expire(dam, sent["expired"].invitation.id)
    ids = {name: each.invitation.id for name, each in sent.items()}
    assert listed(dam, owner, workspace) == [ids["pending"]]
    assert listed(dam, owner, workspace, include_closed=True) == sorted(ids.values())
    assert listed(dam, owner, workspace, email=address(user).upper()) == []
    assert listed(dam, owner, workspace, email=address(user), include_closed=True) == [ids["accepted"]]
    request = pb.ListInvitationsRequest(workspace_id=workspace, include_closed=True, email=address(user))
    (shown,) = dam.client(owner).invitations.ListInvitations(request).invitations
    assert (shown.accepted, shown.accepted_by) == (True, user)
    assert shown.HasField("accepted_at")


def test_a_list_comes_in_pages_that_belong_to_who_asked(dam: Tenants) -> None:
    owner = dam.user()
    workspace, elsewhere = dam.workspace(owner).id, dam.workspace(owner).id
    ids = sorted(invite(dam, owner, workspace, f"{number}@example.com").invitation.id for number in range(5))
    client = dam.client(owner).invitations
    request = pb.ListInvitationsRequest(workspace_id=workspace, page_size=2)
    pages = [client.ListInvitations(request)]
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(client.ListInvitations(request))
    assert [[each.id for each in page.invitations] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    token = pages[0].next_page_token
    for fields in (
        {"workspace_id": elsewhere, "page_token": token},
        {"workspace_id": workspace, "page_token": token, "include_closed": True},
        {"workspace_id": workspace, "page_token": token, "email": "1@example.com"},
        {"workspace_id": workspace, "page_token": f"{token[:-4]}AAA="},
    ):
        refused = refusal(client.ListInvitations, pb.ListInvitationsRequest(**fields))
        assert (refused.code, refused.reason, refused.fields) == (INVALID, "PAGE_TOKEN_INVALID", ("page_token",))


@pytest.mark.parametrize(("field", "value"), [("email", "nobody"), ("page_size", -1), ("workspace_id", "*")])
def test_a_list_of_what_cannot_be_is_refused(dam: Tenants, field: str, value: Any) -> None:
    owner = dam.user()
    request = pb.ListInvitationsRequest(**{"workspace_id": dam.workspace(owner).id, field: value})
    refused = refusal(dam.client(owner).invitations.ListInvitations, request)
    assert (refused.code, refused.fields) == (INVALID, (field,))


# --- RevokeInvitation -------------------------------------------------------------------------------------------------


def test_a_revoked_invitation_is_dead_and_revoking_it_again_changes_nothing(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sent = invite(dam, owner, workspace, address(user))
    first = revoke(dam, owner, workspace, sent.invitation.id)
    assert first.invitation.HasField("revoked_at")
    assert dead(dam, user, sent.token)
    before = dam.revision
    again = revoke(dam, owner, workspace, sent.invitation.id)
    assert (again.invitation, again.revision) == (first.invitation, before)
    assert dam.revision == before


def test_an_accepted_invitation_cannot_be_revoked(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sent = invite(dam, owner, workspace, address(user))
    accept(dam, user, sent.token)
    refused = revoking(dam, owner, workspace, sent.invitation.id)
    assert (refused.code, refused.reason, refused.violations) == (PRECONDITION, "INVITATION_USED", ("INVITATION_USED",))
    assert role(dam, workspace, user) == "member"


def test_an_expired_invitation_can_be_revoked(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sent = invite(dam, owner, workspace, address(user))
    expire(dam, sent.invitation.id)
    assert revoke(dam, owner, workspace, sent.invitation.id).invitation.HasField("revoked_at")
    assert dead(dam, user, sent.token)


def test_the_invitation_of_another_workspace_is_an_unknown_one(dam: Tenants) -> None:
    owner, stranger, user = dam.user(), dam.user(), dam.user()
    workspace, foreign = dam.workspace(owner).id, dam.workspace(stranger).id
    sent = invite(dam, owner, workspace, address(user))
    unknown = revoking(dam, stranger, foreign, "invitation_0000000000000000")
    assert (unknown.code, unknown.reason, unknown.kind) == (NOT_FOUND, "INVITATION_NOT_FOUND", "NotFoundError")
    assert revoking(dam, stranger, foreign, sent.invitation.id) == unknown
    accept(dam, user, sent.token)
    assert revoking(dam, stranger, foreign, sent.invitation.id) == unknown


@pytest.mark.parametrize("invitation", ["", "a b", "*", "x" * 129])
def test_a_malformed_invitation_id_is_refused(dam: Tenants, invitation: str) -> None:
    owner = dam.user()
    refused = revoking(dam, owner, dam.workspace(owner).id, invitation)
    assert (refused.code, refused.fields) == (INVALID, ("invitation_id",))


# --- AcceptInvitation -------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-026", "REQ-031", "REQ-032")
def test_accepting_makes_a_member_with_the_role_of_the_invitation(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner, "North").id
    sent = invite(dam, owner, workspace, address(user), role="viewer", modules=modules("dam"))
    assert dam.reason(user, workspace) == "NOT_A_MEMBER"
    answer = accept(dam, user, sent.token)
    membership = answer.membership
    assert (membership.workspace_id, membership.user_id, membership.role) == (workspace, user, "viewer")
    assert list(membership.modules.modules) == ["dam"]
    assert not membership.permissions
    assert not membership.HasField("expires_at")
    assert membership.is_active
    assert (answer.workspace.id, answer.workspace.name) == (workspace, "North")
    assert not answer.HasField("organization")
    assert not answer.already_member
    assert dam.check(user, workspace, "dam:asset read", at_least_revision=answer.revision).denial.reason == ""
    assert dam.reason(user, workspace, "analytics:report read") == "MODULE_NOT_GRANTED"


@pytest.mark.req("REQ-033")
def test_one_user_accepts_several_roles_in_several_workspaces(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    for given in ("admin", "moderator", "member"):
        owner = eventpalour.user()
        workspace = eventpalour.workspace(owner).id
        accept(eventpalour, user, invite(eventpalour, owner, workspace, address(user), role=given).token)
        assert role(eventpalour, workspace, user) == given


@pytest.mark.req("REQ-054")
def test_accepting_ensures_a_membership_of_the_organization(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    organization = dam.organization(owner)
    workspace = dam.child(owner, dam.workspace(owner, organization_id=organization.id).id).id
    answer = accept(dam, user, invite(dam, owner, workspace, address(user)).token)
    assert (answer.organization.id, answer.organization.slug) == (organization.id, organization.slug)
    request = organizations_pb2.ListUserOrganizationsRequest()
    mine = dam.client(user).organizations.ListUserOrganizations(request).organizations
    assert [(item.organization.id, item.role) for item in mine] == [(organization.id, "member")]


@pytest.mark.req("REQ-020")
def test_a_token_is_used_once(dam: Tenants) -> None:
    owner, user, other = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    token = invite(dam, owner, workspace, address(user)).token
    accept(dam, user, token)
    before = dam.revision
    for refused in (accepting(dam, user, token), accepting(dam, other, token), looking(dam, user, token)):
        assert (refused.code, refused.reason) == (PRECONDITION, "INVITATION_USED")
        assert refused.violations == ("INVITATION_USED",)
    assert dam.revision == before


@pytest.mark.req("REQ-020", "REQ-032")
def test_of_callers_at_once_one_accepts(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    token = invite(dam, owner, workspace, address(user), role="viewer").token
    request = pb.AcceptInvitationRequest(token=token)
    client = dam.client(user).invitations
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: attempt(client.AcceptInvitation, request), range(CALLERS)))
    won = [answer for answer in answers if not isinstance(answer, Refusal)]
    lost = [answer.reason for answer in answers if isinstance(answer, Refusal)]
    assert (len(won), lost) == (1, ["INVITATION_USED"] * (CALLERS - 1))
    assert not won[0].already_member
    rows = found(dam, f"SELECT id FROM memberships WHERE user_id = '{user}'")
    assert [row["id"] for row in rows] == [won[0].membership.id]


@pytest.mark.req("REQ-020")
def test_a_repeated_request_is_answered_as_the_first_time(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    token = invite(dam, owner, dam.workspace(owner).id, address(user)).token
    first = accept(dam, user, token, request_id="r-1")
    dam.user()  # something else happens
    assert accept(dam, user, token, request_id="r-1") == first


@pytest.mark.req("REQ-031")
def test_only_the_invited_address_verified_may_accept(dam: Tenants) -> None:
    owner, other, unverified = dam.user(), dam.user(), dam.user(verified=False)
    workspace = dam.workspace(owner).id
    token = invite(dam, owner, workspace, address(unverified)).token
    before = dam.revision
    for actor in (other, unverified, owner, "never|mirrored"):
        refused = accepting(dam, actor, token)
        assert (refused.code, refused.reason, refused.kind) == (DENIED, "INVITATION_EMAIL_MISMATCH", "AuthError")
        assert not look(dam, actor, token).is_for_actor
    assert dam.revision == before
    verify = users_pb2.UpsertUserRequest(user_id=unverified, email_verified=True)
    dam.client().users.UpsertUser(verify)
    assert accept(dam, unverified, token).membership.user_id == unverified


def test_an_address_that_moved_to_somebody_else_takes_the_invitation_along(dam: Tenants) -> None:
    owner, first, second = dam.user(), dam.user(), dam.user()
    token = invite(dam, owner, dam.workspace(owner).id, address(first)).token
    users = dam.client().users
    users.UpsertUser(users_pb2.UpsertUserRequest(user_id=first, email=""))
    users.UpsertUser(users_pb2.UpsertUserRequest(user_id=second, email=address(first), email_verified=True))
    assert accepting(dam, first, token).reason == "INVITATION_EMAIL_MISMATCH"
    assert accept(dam, second, token).membership.user_id == second


@pytest.mark.req("REQ-021")
def test_an_invitation_is_over_when_its_time_is(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sent = invite(dam, owner, workspace, address(user))
    expire(dam, sent.invitation.id)
    for refused in (accepting(dam, user, sent.token), accepting(dam, dam.user(), sent.token)):
        assert (refused.code, refused.reason) == (PRECONDITION, "INVITATION_EXPIRED")
        assert refused.violations == ("INVITATION_EXPIRED",)
    assert looking(dam, user, sent.token).reason == "INVITATION_EXPIRED"
    assert role(dam, workspace, user) == ""
    assert accept(dam, user, invite(dam, owner, workspace, address(user)).token).membership.role == "member"


@pytest.mark.req("REQ-021")
def test_an_expiry_of_its_own_is_kept(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    sent = invite(dam, owner, dam.workspace(owner).id, address(user), expires_at=soon(seconds=1))
    request = pb.GetInvitationRequest(token=sent.token)
    deadline = time.monotonic() + 10
    while not isinstance(attempt(dam.client(user).invitations.GetInvitation, request), Refusal):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert accepting(dam, user, sent.token).reason == "INVITATION_EXPIRED"


@pytest.mark.req("REQ-039")
def test_the_invitations_of_a_deleted_workspace_are_dead(dam: Tenants) -> None:
    owner, user, member = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    child = dam.child(owner, workspace).id
    sent = [invite(dam, owner, place, address(user)) for place in (workspace, child)]
    used = invite(dam, owner, workspace, address(member))
    accept(dam, member, used.token)
    request = workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace)
    dam.client(owner).workspaces.DeleteWorkspace(request)
    assert all(dead(dam, user, each.token) for each in (*sent, used))


def test_nobody_accepts_while_the_workspace_is_suspended_or_inactive(dam: Tenants) -> None:
    owner, user, other = dam.user(), dam.user(), dam.user()
    parent = dam.workspace(owner).id
    token = invite(dam, owner, dam.child(owner, parent).id, address(user)).token
    states = dam.operator.states
    steps: list[tuple[Callable[..., Any], Any, str]] = [
        (states.SuspendWorkspace, workspace_states_pb2.SuspendWorkspaceRequest, "WORKSPACE_SUSPENDED"),
        (states.DeactivateWorkspace, workspace_states_pb2.DeactivateWorkspaceRequest, "WORKSPACE_INACTIVE"),
    ]
    for method, request, reason in steps:
        method(request(workspace_id=parent))
        refused = accepting(dam, user, token)
        assert (refused.code, refused.reason) == (PRECONDITION, reason)
        assert accepting(dam, other, token).reason == "INVITATION_EMAIL_MISMATCH"
        assert inviting(dam, OPERATOR, parent).reason == reason
        assert look(dam, user, token).is_for_actor
    states.ActivateWorkspace(workspace_states_pb2.ActivateWorkspaceRequest(workspace_id=parent))
    states.ReinstateWorkspace(workspace_states_pb2.ReinstateWorkspaceRequest(workspace_id=parent))
    assert accept(dam, user, token).membership.role == "member"


def test_a_member_who_accepts_keeps_the_role_and_spends_the_token(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    token = invite(dam, owner, workspace, address(user), role="admin").token
    dam.member(owner, workspace, user=user, role="viewer")
    answer = accept(dam, user, token)
    assert (answer.already_member, answer.membership.role) == (True, "viewer")
    assert role(dam, workspace, user) == "viewer"
    assert accepting(dam, user, token).reason == "INVITATION_USED"


def test_a_deactivated_member_does_not_come_back_and_the_token_is_not_spent(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    place = {"workspace_id": workspace}
    token = invite(dam, owner, workspace, address(user)).token
    dam.member(owner, workspace, user=user)
    change(dam, owner, place, user, is_active=False)
    refused = accepting(dam, user, token)
    assert (refused.code, refused.reason) == (DENIED, "MEMBERSHIP_INACTIVE")
    change(dam, owner, place, user, is_active=True)
    assert accept(dam, user, token).already_member


def test_a_deactivated_member_of_the_organization_stays_out_of_its_workspaces(oneglanse: Tenants) -> None:
    owner, user = oneglanse.user(), oneglanse.user()
    organization = oneglanse.organization(owner).id
    workspace = oneglanse.workspace(owner, organization_id=organization).id
    place = {"organization_id": organization}
    oneglanse.member(owner, organization=organization, user=user)
    change(oneglanse, owner, place, user, is_active=False)
    token = invite(oneglanse, owner, workspace, address(user)).token
    assert accepting(oneglanse, user, token).reason == "MEMBERSHIP_INACTIVE"
    assert role(oneglanse, workspace, user) == ""
    change(oneglanse, owner, place, user, is_active=True)
    assert not accept(oneglanse, user, token).already_member


def test_an_invitation_brings_back_who_was_removed_before_it_was_sent(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    early = invite(dam, owner, workspace, address(user)).token
    dam.member(owner, workspace, user=user)
    remove(dam, owner, workspace, user)
    refused = accepting(dam, user, early)
    assert (refused.code, refused.reason) == (DENIED, "REMOVED")
    late = invite(dam, owner, workspace, address(user)).token
    assert accept(dam, user, late).membership.role == "member"


def test_who_left_may_come_back_by_whatever_invitation(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    token = invite(dam, owner, workspace, address(user)).token
    dam.member(owner, workspace, user=user)
    dam.client(user).memberships.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace))
    assert not accept(dam, user, token).already_member


def test_a_deactivated_user_accepts_nothing(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    token = invite(dam, owner, dam.workspace(owner).id, address(user)).token
    dam.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user, is_active=False))
    assert accepting(dam, user, token).reason == "USER_INACTIVE"


# --- the sender -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["demote", "remove", "leave", "deactivate the membership", "narrow"])
def test_an_invitation_does_not_outlive_the_right_of_its_sender(dam: Tenants, way: str) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    place = {"workspace_id": workspace}
    sender = dam.member(owner, workspace, role="admin")
    kept = invite(dam, owner, workspace, "kept@example.com").token
    token = invite(dam, sender, workspace, address(user)).token
    if way == "demote":
        change(dam, owner, place, sender, role="viewer")
    elif way == "remove":
        remove(dam, owner, workspace, sender)
    elif way == "leave":
        dam.client(sender).memberships.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace))
    elif way == "narrow":
        change(dam, owner, place, sender, modules=modules("dam"))
    else:
        change(dam, owner, place, sender, is_active=False)
    assert dead(dam, user, token)
    assert not look(dam, user, kept).is_for_actor


def test_the_invitations_of_a_deactivated_sender_wait_for_its_return(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sender = dam.member(owner, workspace, role="admin")
    token = invite(dam, sender, workspace, address(user)).token
    users = dam.client().users
    users.UpsertUser(users_pb2.UpsertUserRequest(user_id=sender, is_active=False))
    assert dead(dam, user, token)
    users.UpsertUser(users_pb2.UpsertUserRequest(user_id=sender, is_active=True))
    assert accept(dam, user, token).membership.role == "member"


def test_an_invitation_by_a_member_for_a_while_ends_with_it(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    until = soon(seconds=1)
    sender = dam.member(owner, workspace, permissions=["can-manage-users"], expires_at=until)
    sent = invite(dam, sender, workspace, address(user), membership_expires_at=until)
    assert sent.invitation.expires_at == sent.invitation.membership_expires_at
    assert sent.invitation.expires_at.ToDatetime(tzinfo=UTC) == until
    deadline = time.monotonic() + 10
    while dam.reason(sender, workspace) != "MEMBERSHIP_EXPIRED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert looking(dam, user, sent.token).reason == "INVITATION_EXPIRED"
    assert accepting(dam, user, sent.token).reason == "INVITATION_EXPIRED"


@pytest.mark.req("REQ-030")
def test_an_invitation_gives_the_membership_its_expiry(dam: Tenants) -> None:
    owner, user, late = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    until = soon(days=3)
    sender = dam.member(owner, workspace, role="admin", expires_at=until)
    later = until + timedelta(microseconds=1)
    for too_long in ({}, {"membership_expires_at": later}):
        found = inviting(dam, sender, workspace, address(user), **too_long)
        assert found.reason == "ROLE_CEILING"
        assert found.metadata["latest_expires_at"] in found.message
    sent = invite(dam, sender, workspace, address(user), role="admin", membership_expires_at=until)
    shown = dam.client(user).invitations.GetInvitation(pb.GetInvitationRequest(token=sent.token))
    assert shown.invitation.membership_expires_at.ToDatetime(tzinfo=UTC) == until
    joined = accept(dam, user, sent.token).membership
    assert (joined.role, joined.expires_at.ToDatetime(tzinfo=UTC)) == ("admin", until)
    # The expiry of the sender is brought forward while the invitation is on its way.
    token = invite(dam, sender, workspace, address(late), membership_expires_at=until).token
    change(dam, owner, {"workspace_id": workspace}, sender, expires_at=soon(days=2))
    assert dead(dam, late, token)


def test_the_expiry_of_an_invited_member_is_checked_like_every_other(dam: Tenants, oneglanse: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    found = inviting(dam, owner, workspace, membership_expires_at=soon(days=-1))
    assert (found.reason, found.fields) == ("INVALID_ARGUMENT", ("membership_expires_at",))
    founder = oneglanse.user()
    place = oneglanse.workspace(founder).id
    found = inviting(oneglanse, founder, place, role="owner", membership_expires_at=soon(days=1))
    assert (found.reason, found.fields) == ("INVALID_ARGUMENT", ("membership_expires_at",))


# --- secrets, metrics, guessing ---------------------------------------------------------------------------------------


@pytest.mark.req("REQ-030")
def test_the_token_is_nowhere_but_in_the_first_answer(dam: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    owner, user, other = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    with caplog.at_level(logging.DEBUG):
        sent = invite(dam, owner, workspace, address(user), request_id="r-1")
        answers: list[Any] = [
            invite(dam, owner, workspace, address(user), request_id="r-1"),
            look(dam, user, sent.token),
            dam.client(owner).invitations.ListInvitations(pb.ListInvitationsRequest(workspace_id=workspace)),
            accepting(dam, other, sent.token),
            accept(dam, user, sent.token, request_id="r-2"),
            accepting(dam, user, sent.token),
            dam.client(owner).audit.ListAuditEntries(audit_pb2.ListAuditEntriesRequest(workspace_id=workspace)),
        ]
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert any("CreateInvitation" in line for line in logged)
    assert not any(sent.token in line for line in (*logged, *map(str, answers)))
    stored = {table: everything(dam, table) for table in invitations_table.metadata.tables}
    assert not any(sent.token in text for text in stored.values())
    hashed = hashlib.sha256(sent.token.encode()).hexdigest()
    assert [table for table, text in stored.items() if hashed in text] == ["invitation_tokens"]
    assert all(address(user) not in stored[table] for table in ("audit_entries", "changes"))
    assert not any(address(user) in line for line in logged)


def test_every_step_is_audited(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    sender = dam.member(owner, workspace, role="admin")
    first = invite(dam, owner, workspace, address(user), role="viewer").invitation.id
    second = invite(dam, owner, workspace, address(user), modules=modules("dam"))
    third = invite(dam, owner, workspace, "third@example.com").invitation.id
    fourth = invite(dam, sender, workspace, "fourth@example.com").invitation.id
    membership = accept(dam, user, second.token).membership.id
    revoke(dam, owner, workspace, third)
    remove(dam, owner, workspace, sender)
    rows = found(
        dam,
        "SELECT actor, target_id, after FROM audit_entries"
        f" WHERE target_kind = 'invitation' AND place_id = '{workspace}' ORDER BY number",
    )
    notes = [(row["actor"], row["target_id"], str(row["after"])) for row in rows]
    expected = [
        (owner, first, "viewer"),
        (owner, first, second.invitation.id),
        (owner, second.invitation.id, "dam"),
        (owner, third, "member"),
        (sender, fourth, "member"),
        (user, second.invitation.id, membership),
        (owner, third, "revoked"),
        (owner, fourth, "revoked"),
    ]
    assert [note[:2] for note in notes] == [each[:2] for each in expected]
    assert all(word in note[2] for note, (_, _, word) in zip(notes, expected, strict=True))


def test_joins_and_invitations_are_counted(sqlite_dam: Tenants) -> None:
    tenants = sqlite_dam
    metrics = tenants.server.server.metrics
    metrics.joins.clear()
    metrics.invitations.clear()
    owner, user, other = tenants.user(), tenants.user(), tenants.user()
    workspace = tenants.workspace(owner).id
    invite(tenants, owner, workspace, address(user))
    token = invite(tenants, owner, workspace, address(user)).token
    gone = invite(tenants, owner, workspace, "gone@example.com").invitation.id
    for _ in range(2):
        revoke(tenants, owner, workspace, gone)
    inviting(tenants, owner, workspace, role="king")
    accepting(tenants, other, token)
    accept(tenants, user, token)
    accepting(tenants, user, token)
    member = invite(tenants, owner, workspace, address(other)).token
    tenants.member(owner, workspace, user=other)
    accept(tenants, other, member)
    assert dict(metrics.invitations) == {"created": 4, "replaced": 1, "revoked": 1, "accepted": 2, "refused": 3}
    assert dict(metrics.joins) == {
        ("invitation", "joined"): 1,
        ("invitation", "already_member"): 1,
        ("invitation", "invitation_email_mismatch"): 1,
        ("invitation", "invitation_used"): 1,
    }


def test_guessing_tokens_is_slow(dam: Tenants) -> None:
    owner, guesser, user = dam.user(), dam.user(), dam.user()
    token = invite(dam, owner, dam.workspace(owner).id, address(user)).token
    look(dam, guesser, token)  # what leads somewhere does not count
    accepting(dam, guesser, token)
    for number in range(5):
        assert looking(dam, guesser, f"{number:064}").reason == "INVITATION_NOT_FOUND"
        assert accepting(dam, guesser, f"{number:064}").reason == "INVITATION_NOT_FOUND"
    for refused in (looking(dam, guesser, token), accepting(dam, guesser, token)):
        assert (refused.code, refused.reason) == (EXHAUSTED, "TOO_MANY_ATTEMPTS")
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds <= 300
    assert accept(dam, user, token).membership.user_id == user


def expire(tenants: Tenants, invitation: str) -> None:
    """Let the time of an invitation be over."""
    over = update(invitations_table).where(invitations_table.c.id == invitation).values(expires_at=soon(seconds=-1))
    with closing(Database(tenants.server.database_url, wait_seconds=10)) as database, database.write() as connection:
        connection.execute(over)


def everything(tenants: Tenants, table: str) -> str:
    """Return all that a table holds, as one text; bytes as what they spell."""
    rows = found(tenants, f"SELECT * FROM {table}")
    values = [value for row in rows for value in row.values()]
    return "\n".join(
        bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)
        for value in values
    )
