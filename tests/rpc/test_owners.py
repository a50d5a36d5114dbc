"""Owners in oneglanse, where a workspace may have several and keeps the last."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import Tenants, modules
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import memberships_pb2 as pb
from wsauthz.v1 import workspaces_pb2

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def two_owners(tenants: Tenants) -> tuple[str, str, str]:
    """Make a workspace with two owners; return it, its primary owner and the other."""
    first = tenants.user()
    workspace = tenants.workspace(first).id
    return workspace, first, tenants.member(first, workspace, role="owner")


def removing(tenants: Tenants, actor: str, workspace: str, user: str) -> Refusal:
    request = pb.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    return refusal(tenants.client(actor).memberships.RemoveMember, request)


def update_request(workspace: str, user: str, **fields: Any) -> pb.UpdateMemberRequest:
    request = pb.UpdateMemberRequest(workspace_id=workspace, user_id=user, **fields)
    request.update_mask.paths.extend(fields)
    return request


def primary(tenants: Tenants, workspace: str) -> str:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request).owner.id


@pytest.mark.req("REQ-040", "REQ-069")
def test_the_creator_is_an_owner(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    workspace = oneglanse.workspace(user).id
    member = oneglanse.client(user).memberships.GetMember(pb.GetMemberRequest(workspace_id=workspace, user_id=user))
    assert (member.member.membership.role, member.member.is_owner) == ("owner", True)


@pytest.mark.req("REQ-040", "REQ-042")
def test_a_plain_member_creates_in_its_organization(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    member = oneglanse.member(owner, organization=organization)
    workspace = oneglanse.workspace(member, organization_id=organization)
    assert (workspace.owner_user_id, workspace.organization_id) == (member, organization)


@pytest.mark.req("REQ-051")
def test_the_last_owner_stays(oneglanse: Tenants) -> None:
    workspace, first, second = two_owners(oneglanse)
    client = oneglanse.client(second).memberships
    client.RemoveMember(pb.RemoveMemberRequest(workspace_id=workspace, user_id=first))
    for refused in (
        refusal(client.Leave, pb.LeaveRequest(workspace_id=workspace)),
        refusal(client.UpdateMember, update_request(workspace, second, role="member")),
        refusal(client.UpdateMember, update_request(workspace, second, is_active=False)),
    ):
        assert (refused.code, refused.reason, refused.kind) == (PRECONDITION, "LAST_OWNER", "ValidationError")
        assert refused.violations == ("LAST_OWNER",)


@pytest.mark.req("REQ-051")
def test_an_operator_does_not_remove_the_last_owner_either(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    workspace = oneglanse.workspace(user).id
    refused = removing(oneglanse, oneglanse.operator.actor or "", workspace, user)
    assert (refused.code, refused.reason) == (PRECONDITION, "LAST_OWNER")


@pytest.mark.req("REQ-052")
def test_not_found_comes_before_last_owner(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    workspace = oneglanse.workspace(user).id
    assert removing(oneglanse, user, workspace, oneglanse.user()).reason == "MEMBER_NOT_FOUND"


def test_if_the_primary_owner_goes_the_longest_standing_owner_becomes_it(oneglanse: Tenants) -> None:
    workspace, first, second = two_owners(oneglanse)
    third = oneglanse.member(first, workspace, role="owner")
    assert primary(oneglanse, workspace) == first
    oneglanse.client(third).memberships.RemoveMember(pb.RemoveMemberRequest(workspace_id=workspace, user_id=first))
    assert primary(oneglanse, workspace) == second
    assert oneglanse.reason(first, workspace) == "NOT_A_MEMBER"
    oneglanse.client(second).memberships.Leave(pb.LeaveRequest(workspace_id=workspace))
    assert primary(oneglanse, workspace) == third


def test_a_demoted_primary_owner_is_none(oneglanse: Tenants) -> None:
    workspace, first, second = two_owners(oneglanse)
    oneglanse.client(second).memberships.UpdateMember(update_request(workspace, first, role="member"))
    assert primary(oneglanse, workspace) == second
    assert oneglanse.reason(first, workspace, "workspace update") == "ROLE_INSUFFICIENT"


@pytest.mark.req("REQ-051")
def test_of_two_owners_who_remove_each_other_one_stays(oneglanse: Tenants) -> None:
    for _ in range(5):
        workspace, first, second = two_owners(oneglanse)

        def remove(actor: str, user: str, workspace: str = workspace) -> Any:
            request = pb.RemoveMemberRequest(workspace_id=workspace, user_id=user)
            return attempt(oneglanse.client(actor).memberships.RemoveMember, request)

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(remove, (first, second), (second, first)))
        assert len([outcome for outcome in outcomes if not isinstance(outcome, Refusal)]) == 1
        assert primary(oneglanse, workspace) in {first, second}


@pytest.mark.parametrize(
    ("field", "value"),
    [("modules", modules("analysis")), ("modules", modules()), ("expires_at", {"seconds": 4_000_000_000})],
)
def test_owners_have_no_expiry_and_no_module_list(oneglanse: Tenants, field: str, value: Any) -> None:
    user = oneglanse.user()
    workspace = oneglanse.workspace(user).id
    client = oneglanse.client(user).memberships
    request = pb.AddMemberRequest(workspace_id=workspace, user_id=oneglanse.user(), role="owner", **{field: value})
    assert refusal(client.AddMember, request).fields == (field,)
    second = oneglanse.member(user, workspace, role="owner")
    assert refusal(client.UpdateMember, update_request(workspace, second, **{field: value})).fields == (field,)
    limited = oneglanse.member(user, workspace, **{field: value})
    refused = refusal(client.UpdateMember, update_request(workspace, limited, role="owner"))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT


def test_members_make_no_owners(oneglanse: Tenants) -> None:
    user = oneglanse.user()
    workspace = oneglanse.workspace(user).id
    member = oneglanse.member(user, workspace)
    request = pb.AddMemberRequest(workspace_id=workspace, user_id=oneglanse.user(), role="owner")
    assert refusal(oneglanse.client(member).memberships.AddMember, request).code == grpc.StatusCode.PERMISSION_DENIED
    by_email = pb.AddMemberByEmailRequest(workspace_id=workspace, email="x@example.com", role="owner")
    refused = refusal(oneglanse.client(member).memberships.AddMemberByEmail, by_email)
    assert refused.code == grpc.StatusCode.PERMISSION_DENIED


def test_removal_from_the_organization_respects_the_last_owner_of_a_workspace(oneglanse: Tenants) -> None:
    boss, user = oneglanse.user(), oneglanse.user()
    organization = oneglanse.organization(boss).id
    oneglanse.member(boss, organization=organization, user=user)
    workspace = oneglanse.workspace(user, organization_id=organization).id
    request = pb.RemoveMemberRequest(organization_id=organization, user_id=user)
    refused = refusal(oneglanse.client(boss).memberships.RemoveMember, request)
    assert (refused.code, refused.reason) == (PRECONDITION, "LAST_OWNER")
    assert oneglanse.reason(user, workspace) == ""
    assert refused.message.startswith(f"In workspace {workspace}: The last owner ")
    assert (refused.violations, refused.metadata["workspace_id"]) == (("LAST_OWNER",), workspace)
    leaving = pb.LeaveRequest(organization_id=organization)
    assert refusal(oneglanse.client(user).memberships.Leave, leaving).metadata["workspace_id"] == workspace
    leaving = pb.LeaveRequest(workspace_id=workspace)
    assert "workspace_id" not in refusal(oneglanse.client(user).memberships.Leave, leaving).metadata
    oneglanse.member(user, workspace, role="owner")
    oneglanse.client(boss).memberships.RemoveMember(request)
    assert oneglanse.reason(user, workspace) == "NOT_A_MEMBER"


def test_a_workspace_that_stands_in_the_way_is_not_named_to_somebody_who_may_not_view_it(
    sqlite_template: Path, tmp_path: Path
) -> None:
    bundle = copy_bundle("oneglanse", tmp_path, tests=False)
    policy = bundle / "policy.csv"
    policy.write_text(policy.read_text().replace("g4, role:owner, role:owner", ""))
    with serving(sqlite_database(sqlite_template), str(bundle)) as tenants:
        boss, user = tenants.user(), tenants.user()
        organization = tenants.organization(boss).id
        tenants.member(boss, organization=organization, user=user)
        workspace = tenants.workspace(user, organization_id=organization).id
        request = pb.RemoveMemberRequest(organization_id=organization, user_id=user)
        last = refusal(tenants.client(boss).memberships.RemoveMember, request)
        tenants.member(user, workspace, role="owner")
        above = refusal(tenants.client(boss).memberships.RemoveMember, request)
        assert (last.reason, above.reason) == ("LAST_OWNER", "ROLE_CEILING")
        for refused in (last, above):
            assert refused.message.startswith("In a workspace that you may not view: ")
            assert workspace not in str(refused)
