"""Deleting accounts: what goes, what passes on, and that nothing is left for whoever gets the id next."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tables import found
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import invitations_pb2, memberships_pb2, organizations_pb2, workspaces_pb2
from wsauthz.v1 import users_pb2 as pb

DENIED = grpc.StatusCode.PERMISSION_DENIED
LIVE = "deleted_at IS NULL"


@pytest.fixture(scope="module")
def eventpalour(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the eventpalour bundle with an operator, on each kind of database."""
    with serving(make_database(), "eventpalour") as tenants:
        yield tenants


def delete(tenants: Tenants, actor: str, user: str = "", **fields: Any) -> pb.DeleteAccountResponse:
    return tenants.client(actor).users.DeleteAccount(pb.DeleteAccountRequest(user_id=user, **fields))


def deleting(tenants: Tenants, actor: str, user: str = "") -> Refusal:
    return refusal(tenants.client(actor).users.DeleteAccount, pb.DeleteAccountRequest(user_id=user))


def counts(answer: pb.DeleteAccountResponse) -> tuple[bool, int, int, int]:
    """Return what went: anything, organizations, workspaces, and how many workspaces passed on."""
    workspaces = answer.deleted_workspaces, answer.transferred_workspaces
    return answer.deleted, answer.deleted_organizations, *workspaces


def invite(tenants: Tenants, actor: str, workspace: str, email: str) -> str:
    """Invite an address and return the invitation's id."""
    request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=email)
    return tenants.client(actor).invitations.CreateInvitation(request).invitation.id


def revoked(tenants: Tenants, *invitations: str) -> list[bool]:
    """Tell of each invitation whether it was revoked; then its token is forgotten, too."""
    rows = {row["id"]: row["revoked_at"] for row in found(tenants, "SELECT id, revoked_at FROM invitations")}
    with_token = {row["invitation_id"] for row in found(tenants, "SELECT invitation_id FROM invitation_tokens")}
    assert all((rows[each] is None) == (each in with_token) for each in invitations)
    return [rows[each] is not None for each in invitations]


def owner(tenants: Tenants, workspace: str) -> str:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request).owner.id


def member(tenants: Tenants, user: str, **place: str) -> memberships_pb2.Membership:
    request = memberships_pb2.GetMemberRequest(user_id=user, **place)
    return tenants.operator.memberships.GetMember(request).member.membership


def visit(tenants: Tenants, user: str, workspace: str) -> None:
    tenants.client(user).users.SwitchWorkspace(pb.SwitchWorkspaceRequest(workspace_id=workspace))


def assert_nothing_left(tenants: Tenants, user: str) -> None:
    """See in the tables that nothing counts for the user any more."""
    assert not found(tenants, f"SELECT id FROM users WHERE id = '{user}'")
    assert not found(tenants, f"SELECT id FROM memberships WHERE user_id = '{user}' AND {LIVE}")
    assert not found(tenants, f"SELECT id FROM workspaces WHERE owner_user_id = '{user}' AND {LIVE}")
    assert not found(tenants, f"SELECT workspace_id FROM entries WHERE user_id = '{user}'")
    pending = "accepted_at IS NULL AND revoked_at IS NULL"
    assert not found(tenants, f"SELECT id FROM invitations WHERE invited_by = '{user}' AND {pending}")
    assert not found(tenants, f"SELECT id FROM invitations WHERE email = '{user}@example.com' AND {pending}")


def assert_gone(tenants: Tenants, *workspaces: str) -> None:
    """See in the answers and in the tables that the workspaces went with everything that belongs to them."""
    for workspace in workspaces:
        assert tenants.reason(OPERATOR, workspace) == "WORKSPACE_NOT_FOUND"
    listed = ", ".join(f"'{workspace}'" for workspace in workspaces)
    assert not found(tenants, f"SELECT id FROM workspaces WHERE id IN ({listed}) AND {LIVE}")
    assert not found(tenants, f"SELECT id FROM memberships WHERE workspace_id IN ({listed}) AND {LIVE}")
    assert not found(tenants, f"SELECT code FROM invite_codes WHERE workspace_id IN ({listed})")
    pending = "accepted_at IS NULL AND revoked_at IS NULL"
    assert not found(tenants, f"SELECT id FROM invitations WHERE workspace_id IN ({listed}) AND {pending}")
    assert not found(tenants, f"SELECT id FROM users WHERE default_workspace_id IN ({listed})")


# --- a bundle in which workspaces go with their owner -----------------------------------------------------------------


@pytest.mark.req("REQ-038", "REQ-039", "REQ-064", "REQ-068")
def test_workspaces_go_with_their_owner(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    own = eventpalour.workspace(user).id
    guest = eventpalour.member(user, own, role="admin")
    invite(eventpalour, guest, own, "friend@example.com")
    visit(eventpalour, guest, own)
    elsewhere = eventpalour.workspace(eventpalour.user()).id
    assert counts(delete(eventpalour, user)) == (True, 0, 1, 0)
    assert_gone(eventpalour, own)
    assert_nothing_left(eventpalour, user)
    assert eventpalour.reason(guest, own) == "WORKSPACE_NOT_FOUND"
    assert eventpalour.reason(OPERATOR, elsewhere) == ""
    first = eventpalour.client(guest).workspaces.CheckFirstWorkspace(workspaces_pb2.CheckFirstWorkspaceRequest())
    assert first.is_first_workspace


@pytest.mark.req("REQ-065")
def test_an_organization_goes_with_its_only_owner(eventpalour: Tenants) -> None:
    user, colleague = eventpalour.user(), eventpalour.user()
    organization = eventpalour.organization(user).id
    own = eventpalour.workspace(user, organization_id=organization).id
    eventpalour.member(user, organization=organization, user=colleague, role="organization-owner")
    theirs = eventpalour.workspace(colleague, organization_id=organization).id
    demoted = memberships_pb2.UpdateMemberRequest(organization_id=organization, user_id=colleague, role="member")
    demoted.update_mask.paths.append("role")
    eventpalour.operator.memberships.UpdateMember(demoted)
    invite(eventpalour, colleague, theirs, "friend@example.com")
    assert counts(delete(eventpalour, user)) == (True, 1, 2, 0)
    assert_gone(eventpalour, own, theirs)
    assert_nothing_left(eventpalour, user)
    request = organizations_pb2.GetOrganizationRequest(organization_id=organization)
    assert refusal(eventpalour.operator.organizations.GetOrganization, request).reason == "ORGANIZATION_NOT_FOUND"
    assert not found(eventpalour, f"SELECT id FROM memberships WHERE organization_id = '{organization}' AND {LIVE}")


@pytest.mark.req("REQ-066", "REQ-067")
def test_an_organization_with_another_owner_stays(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    organization = eventpalour.organization(user).id
    colleague = eventpalour.member(user, organization=organization, role="organization-owner")
    own = eventpalour.workspace(user, organization_id=organization).id
    theirs = eventpalour.workspace(colleague, organization_id=organization).id
    eventpalour.member(colleague, theirs, user=user, role="moderator")
    assert counts(delete(eventpalour, user)) == (True, 0, 1, 0)
    assert_gone(eventpalour, own)
    assert_nothing_left(eventpalour, user)
    assert (eventpalour.reason(colleague, theirs), owner(eventpalour, theirs)) == ("", colleague)
    assert eventpalour.reason(user, theirs) == "NOT_A_MEMBER"


@pytest.mark.req("REQ-065")
@pytest.mark.parametrize("way", ["deactivated membership", "deactivated account"])
def test_an_owner_who_cannot_act_is_none(eventpalour: Tenants, way: str) -> None:
    user = eventpalour.user()
    organization = eventpalour.organization(user).id
    colleague = eventpalour.member(user, organization=organization, role="organization-owner")
    if way == "deactivated account":
        eventpalour.client().users.UpsertUser(pb.UpsertUserRequest(user_id=colleague, is_active=False))
    else:
        request = memberships_pb2.UpdateMemberRequest(organization_id=organization, user_id=colleague, is_active=False)
        request.update_mask.paths.append("is_active")
        eventpalour.client(user).memberships.UpdateMember(request)
    assert counts(delete(eventpalour, user)) == (True, 1, 0, 0)


def test_descendants_go_whoever_owns_them(dam: Tenants) -> None:
    user = dam.user()
    root = dam.workspace(user).id
    admin = dam.member(user, root, role="admin")
    child = dam.child(admin, root).id
    other = dam.workspace(admin).id
    assert owner(dam, child) == admin
    assert counts(delete(dam, user)) == (True, 0, 2, 0)
    assert_gone(dam, root, child)
    assert dam.reason(admin, other) == ""


def test_a_child_goes_alone(dam: Tenants) -> None:
    above = dam.user()
    root = dam.workspace(above).id
    admin = dam.member(above, root, role="admin")
    child = dam.child(admin, root).id
    assert counts(delete(dam, admin)) == (True, 0, 1, 0)
    assert_gone(dam, child)
    assert dam.reason(above, root) == ""


# --- a bundle in which workspaces pass on -----------------------------------------------------------------------------


@pytest.mark.req("REQ-066")
def test_a_workspace_passes_to_the_longest_standing_other_owner(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    organization = oneglanse.organization(user).id
    workspace = oneglanse.workspace(user, organization_id=organization).id
    oneglanse.member(user, workspace)
    second, third = (oneglanse.member(user, workspace, role="owner") for _ in range(2))
    oneglanse.member(user, organization=organization, role="owner")
    assert counts(delete(oneglanse, user)) == (True, 0, 0, 1)
    assert owner(oneglanse, workspace) == second
    assert_nothing_left(oneglanse, user)
    assert [oneglanse.reason(each, workspace, "workspace delete") for each in (second, third)] == ["", ""]
    assert oneglanse.reason(user, workspace) == "NOT_A_MEMBER"
    request = organizations_pb2.GetOrganizationRequest(organization_id=organization)
    assert oneglanse.operator.organizations.GetOrganization(request).organization.id == organization


@pytest.mark.req("REQ-066")
def test_without_another_owner_it_passes_to_an_owner_of_the_organization(oneglanse: Tenants) -> None:
    roof = oneglanse.user()
    organization = oneglanse.organization(roof).id
    user = oneglanse.member(roof, organization=organization)
    later = oneglanse.member(roof, organization=organization, role="owner")
    workspace = oneglanse.workspace(user, organization_id=organization).id
    helper = oneglanse.member(user, workspace)
    assert counts(delete(oneglanse, user)) == (True, 0, 0, 1)
    assert owner(oneglanse, workspace) == roof
    assert member(oneglanse, roof, workspace_id=workspace).role == "owner"
    assert member(oneglanse, roof, organization_id=organization).role == "owner"
    assert [oneglanse.reason(each, workspace) for each in (roof, later, helper)] == ["", "", ""]
    assert_nothing_left(oneglanse, user)


def test_an_owner_of_the_organization_who_is_there_gets_the_role(oneglanse: Tenants) -> None:
    roof = oneglanse.user()
    organization = oneglanse.organization(roof).id
    user = oneglanse.member(roof, organization=organization)
    workspace = oneglanse.workspace(user, organization_id=organization).id
    oneglanse.member(user, workspace, user=roof)
    off = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=roof, is_active=False)
    off.update_mask.paths.append("is_active")
    oneglanse.operator.memberships.UpdateMember(off)
    assert counts(delete(oneglanse, user)) == (True, 0, 0, 1)
    membership = member(oneglanse, roof, workspace_id=workspace)
    assert (membership.role, membership.is_active, owner(oneglanse, workspace)) == ("owner", True, roof)


@pytest.mark.req("REQ-064")
def test_what_nobody_else_owns_goes(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    organization = oneglanse.organization(user).id
    inside = oneglanse.workspace(user, organization_id=organization).id
    alone = oneglanse.workspace(user).id
    helpers = [oneglanse.member(user, workspace) for workspace in (inside, alone)]
    assert counts(delete(oneglanse, user)) == (True, 1, 2, 0)
    assert_gone(oneglanse, inside, alone)
    assert_nothing_left(oneglanse, user)
    for helper in helpers:
        mine = oneglanse.client(helper).organizations.ListUserOrganizations(
            organizations_pb2.ListUserOrganizationsRequest()
        )
        assert not mine.organizations


@pytest.mark.req("REQ-066", "REQ-067")
def test_one_of_several_owners_goes_alone(oneglanse: Tenants) -> None:
    first = oneglanse.user()
    organization = oneglanse.organization(first).id
    workspace = oneglanse.workspace(first, organization_id=organization).id
    user = oneglanse.member(first, workspace, role="owner")
    assert counts(delete(oneglanse, user)) == (True, 0, 0, 0)
    assert owner(oneglanse, workspace) == first
    assert_nothing_left(oneglanse, user)


# --- invitations ------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-064")
def test_invitations_by_it_and_to_it_are_revoked(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    user = dam.member(first, workspace, role="admin")
    sent, kept = invite(dam, user, workspace, "a@example.com"), invite(dam, first, workspace, "b@example.com")
    other = dam.user()
    received = invite(dam, other, dam.workspace(other).id, f"{user}@example.com")
    delete(dam, user)
    assert revoked(dam, sent, kept, received) == [True, False, True]


def test_an_unverified_address_may_be_somebody_elses(dam: Tenants) -> None:
    first, user = dam.user(), dam.user(verified=False)
    received = invite(dam, first, dam.workspace(first).id, f"{user}@example.com")
    delete(dam, user)
    assert revoked(dam, received) == [False]


# --- repeating, and coming back ---------------------------------------------------------------------------------------


@pytest.mark.req("REQ-064")
def test_repeating_it_changes_nothing(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    eventpalour.workspace(user)
    first = delete(eventpalour, user, request_id="bye")
    before = eventpalour.revision
    again = delete(eventpalour, user)
    assert (counts(again), again.revision) == ((False, 0, 0, 0), before)
    assert delete(eventpalour, OPERATOR, user).deleted is False
    assert delete(eventpalour, user, request_id="bye") == first
    assert eventpalour.revision == before == first.revision


@pytest.mark.req("REQ-068")
@pytest.mark.parametrize("by", ["itself", "the platform"])
def test_whoever_gets_the_id_next_starts_with_nothing(dam: Tenants, by: str) -> None:
    first = dam.user()
    organization = dam.organization(first).id
    workspace = dam.workspace(first, organization_id=organization).id
    user = dam.member(first, workspace, role="admin")
    own = dam.workspace(user).id
    visit(dam, user, workspace)
    fields = {"workspace_id": own, "request_id": "mine"}
    dam.client(user).users.SwitchWorkspace(pb.SwitchWorkspaceRequest(**fields))
    delete(dam, user if by == "itself" else OPERATOR, user)
    assert_nothing_left(dam, user)
    assert not found(dam, f"SELECT request_id FROM request_ids WHERE actor = '{user}' AND request_id = 'mine'")
    request = pb.UpsertUserRequest(user_id=user, email=f"{user}@example.com", email_verified=True)
    answer = dam.client().users.UpsertUser(request)
    assert (answer.created, answer.user.name, answer.user.HasField("default_workspace_id")) == (True, "", False)
    client = dam.client(user)
    assert client.workspaces.CheckFirstWorkspace(workspaces_pb2.CheckFirstWorkspaceRequest()).is_first_workspace
    assert not client.organizations.ListUserOrganizations(
        organizations_pb2.ListUserOrganizationsRequest()
    ).organizations
    assert not client.workspaces.ListUserWorkspaces(workspaces_pb2.ListUserWorkspacesRequest()).workspaces
    assert [dam.reason(user, each) for each in (workspace, own)] == ["NOT_A_MEMBER", "WORKSPACE_NOT_FOUND"]
    code = dam.client(first).invitations.GetInviteCode(invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    joined = client.invitations.JoinByCode(invitations_pb2.JoinByCodeRequest(code=code.code))
    assert joined.joined.membership.role == "member"


def test_whoever_was_removed_does_not_come_back_as_somebody_new(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    user = dam.member(first, workspace)
    dam.client(first).memberships.RemoveMember(
        memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    )
    delete(dam, user)
    dam.client().users.UpsertUser(pb.UpsertUserRequest(user_id=user))
    code = dam.client(first).invitations.GetInviteCode(invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    refused = refusal(dam.client(user).invitations.JoinByCode, invitations_pb2.JoinByCodeRequest(code=code.code))
    assert refused.reason == "REMOVED"


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-064")
def test_the_platform_deletes_anybody(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    own = eventpalour.workspace(user).id
    assert counts(delete(eventpalour, OPERATOR, user)) == (True, 0, 1, 0)
    assert_gone(eventpalour, own)
    assert_nothing_left(eventpalour, user)
    entries = found(eventpalour, "SELECT * FROM audit_entries ORDER BY number DESC LIMIT 1")
    assert [(each["actor"], each["target_kind"], each["target_id"]) for each in entries] == [(OPERATOR, "user", user)]


@pytest.mark.req("REQ-064")
def test_nobody_else_does_nor_learns_who_there_is(eventpalour: Tenants) -> None:
    user = eventpalour.user()
    organization = eventpalour.organization(user).id
    boss, member = eventpalour.user(), eventpalour.member(user, organization=organization)
    eventpalour.member(user, organization=organization, user=boss, role="organization-owner")
    before = eventpalour.revision
    for actor in (boss, member, "never-mirrored"):
        refused = deleting(eventpalour, actor, user)
        assert refused == deleting(eventpalour, actor, "nobody") == deleting(eventpalour, actor, OPERATOR)
        assert (refused.code, refused.kind) == (DENIED, "AuthError")
    assert eventpalour.revision == before
    assert deleting(eventpalour, user, "a b").fields == ("user_id",)


def test_a_deactivated_user_does_not_delete_itself(dam: Tenants) -> None:
    user = dam.user()
    own = dam.workspace(user).id
    dam.client().users.UpsertUser(pb.UpsertUserRequest(user_id=user, is_active=False))
    assert deleting(dam, user).reason == "USER_INACTIVE"
    assert counts(delete(dam, OPERATOR, user)) == (True, 0, 1, 0)
    assert_gone(dam, own)


def test_the_last_operator_may_go(make_database: MakeDatabase) -> None:
    with serving(make_database(), "dam", STATE) as tenants:
        assert counts(delete(tenants, OPERATOR)) == (True, 0, 0, 0)
        assert_nothing_left(tenants, OPERATOR)
        assert deleting(tenants, OPERATOR, "anybody").code == DENIED


# --- at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-064")
def test_deleted_many_times_at_once_it_is_deleted_once(dam: Tenants) -> None:
    user = dam.user()
    own = [dam.workspace(user).id for _ in range(3)]
    actors = [user, OPERATOR] * 4
    with ThreadPoolExecutor(len(actors)) as pool:
        answers = list(pool.map(lambda actor: counts(delete(dam, actor, user)), actors))
    assert sorted(answers) == [(False, 0, 0, 0)] * 7 + [(True, 0, 3, 0)]
    assert_gone(dam, *own)


@pytest.mark.req("REQ-066")
def test_of_owners_who_all_go_at_once_nothing_is_left_without_one(oneglanse: Tenants) -> None:
    for _ in range(3):
        first = oneglanse.user()
        workspace = oneglanse.workspace(first).id
        owners = [first, *(oneglanse.member(first, workspace, role="owner") for _ in range(3))]
        stays = oneglanse.member(first, workspace, role="owner")
        with ThreadPoolExecutor(len(owners)) as pool:
            answers = list(pool.map(lambda user: delete(oneglanse, user), owners))
        assert all(answer.deleted and not answer.deleted_workspaces for answer in answers)
        assert owner(oneglanse, workspace) == stays
        assert oneglanse.reason(stays, workspace, "workspace delete") == ""
        assert counts(delete(oneglanse, stays)) == (True, 0, 1, 0)
        assert_gone(oneglanse, workspace)
