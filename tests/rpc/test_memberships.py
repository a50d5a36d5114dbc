"""Memberships in dam, where one primary owner is protected."""

import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, refusal
from wsauthz.v1 import memberships_pb2 as pb
from wsauthz.v1 import organizations_pb2, users_pb2, workspace_states_pb2

DENIED = grpc.StatusCode.PERMISSION_DENIED
EXISTS = grpc.StatusCode.ALREADY_EXISTS
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def add(tenants: Tenants, actor: str, workspace: str, user: str, **fields: Any) -> pb.AddMemberResponse:
    request = pb.AddMemberRequest(workspace_id=workspace, user_id=user, **fields)
    return tenants.client(actor).memberships.AddMember(request)


def adding(tenants: Tenants, actor: str, workspace: str, user: str = "", **fields: Any) -> Refusal:
    request = pb.AddMemberRequest(workspace_id=workspace, user_id=user or tenants.user(), **fields)
    return refusal(tenants.client(actor).memberships.AddMember, request)


def by_email(tenants: Tenants, actor: str, workspace: str, email: str, **fields: Any) -> pb.AddMemberByEmailResponse:
    request = pb.AddMemberByEmailRequest(workspace_id=workspace, email=email, **fields)
    return tenants.client(actor).memberships.AddMemberByEmail(request)


def update_request(workspace: str, user: str, *paths: str, **fields: Any) -> pb.UpdateMemberRequest:
    request = pb.UpdateMemberRequest(workspace_id=workspace, user_id=user, **fields)
    request.update_mask.paths.extend(paths or fields)
    return request


def update(tenants: Tenants, actor: str, workspace: str, user: str, *paths: str, **fields: Any) -> pb.Membership:
    request = update_request(workspace, user, *paths, **fields)
    return tenants.client(actor).memberships.UpdateMember(request).membership


def updating(tenants: Tenants, actor: str, workspace: str, user: str, *paths: str, **fields: Any) -> Refusal:
    return refusal(tenants.client(actor).memberships.UpdateMember, update_request(workspace, user, *paths, **fields))


def remove(tenants: Tenants, actor: str, workspace: str, user: str) -> str:
    request = pb.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    return tenants.client(actor).memberships.RemoveMember(request).revision


def removing(tenants: Tenants, actor: str, workspace: str, user: str) -> Refusal:
    request = pb.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    return refusal(tenants.client(actor).memberships.RemoveMember, request)


def get(tenants: Tenants, actor: str, workspace: str, user: str) -> pb.Member:
    request = pb.GetMemberRequest(workspace_id=workspace, user_id=user)
    return tenants.client(actor).memberships.GetMember(request).member


def listed(tenants: Tenants, actor: str, workspace: str, **fields: Any) -> list[str]:
    request = pb.ListMembersRequest(workspace_id=workspace, **fields)
    answer = tenants.client(actor).memberships.ListMembers(request)
    return [member.membership.user_id for member in answer.members]


# --- AddMember --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-014", "REQ-037", "REQ-094")
def test_without_a_word_somebody_becomes_a_member(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    answer = add(dam, owner, workspace, user)
    membership = answer.membership
    assert membership.id.startswith("member_")
    assert (membership.workspace_id, membership.user_id, membership.role) == (workspace, user, "member")
    assert membership.is_active
    assert not membership.permissions
    assert not membership.HasField("modules")
    assert not membership.HasField("expires_at")
    assert not membership.HasField("organization_id")
    assert membership.joined_at.ToSeconds() > 1_600_000_000
    assert dam.check(user, workspace, "dam:asset update", at_least_revision=answer.revision).denial.reason == ""


@pytest.mark.req("REQ-094", "REQ-095", "REQ-096")
def test_everything_that_is_given_is_stored(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    until = int(time.time()) + 3600
    given = {"role": "viewer", "permissions": ["can-manage-users"], "modules": modules("dam")}
    membership = add(dam, owner, workspace, user, **given, expires_at={"seconds": until}).membership
    assert (membership.role, list(membership.permissions)) == ("viewer", ["can-manage-users"])
    assert (list(membership.modules.modules), membership.expires_at.ToSeconds()) == (["dam"], until)
    answer = dam.check(user, workspace, "dam:asset read")
    assert answer.valid_until.ToSeconds() == until
    assert dam.reason(user, workspace, "analytics:report read") == "MODULE_NOT_GRANTED"
    assert dam.reason(user, workspace, "member add") == ""


def test_an_empty_list_of_modules_is_none_of_them(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    membership = add(dam, owner, workspace, user, modules=modules()).membership
    assert membership.HasField("modules")
    assert not membership.modules.modules
    assert dam.reason(user, workspace, "dam:asset read") == "MODULE_NOT_GRANTED"


@pytest.mark.req("REQ-049")
def test_a_live_member_is_not_added_again(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    refused = adding(dam, owner, workspace, member)
    assert (refused.code, refused.reason, refused.kind) == (EXISTS, "ALREADY_MEMBER", "ValidationError")
    update(dam, owner, workspace, member, is_active=False)
    assert adding(dam, owner, workspace, member).reason == "ALREADY_MEMBER"


def test_an_expired_member_is_closed_and_replaced(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    first = add(dam, owner, workspace, user, expires_at={"seconds": int(time.time()) + 2}).membership
    deadline = time.monotonic() + 5
    while dam.reason(user, workspace) != "MEMBERSHIP_EXPIRED" and time.monotonic() < deadline:
        time.sleep(0.05)
    second = add(dam, owner, workspace, user).membership
    assert second.id != first.id
    assert not second.HasField("expires_at")
    assert dam.reason(user, workspace) == ""
    assert listed(dam, owner, workspace).count(user) == 1


@pytest.mark.req("REQ-015", "REQ-096")
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("role", "king", "UNKNOWN_ROLE"),
        ("role", "owner", "UNKNOWN_ROLE"),
        ("role", "operator", "UNKNOWN_ROLE"),
        ("role", "organization-owner", "UNKNOWN_ROLE"),
        ("role", "role:admin", "UNKNOWN_ROLE"),
        ("permissions", ["can-fly"], "UNKNOWN_PERMISSION"),
        ("permissions", ["perm:can-manage-users"], "UNKNOWN_PERMISSION"),
        ("modules", modules("warp"), "UNKNOWN_MODULE"),
    ],
)
def test_what_the_catalog_lacks_is_refused(dam: Tenants, field: str, value: Any, reason: str) -> None:
    owner = dam.user()
    refused = adding(dam, owner, dam.workspace(owner).id, **{field: value})
    assert (refused.code, refused.reason, refused.fields) == (INVALID, reason, (field,))


@pytest.mark.parametrize("user", ["a b", "*", "-a", "a\n", "a,b"])
def test_a_malformed_user_is_refused(dam: Tenants, user: str) -> None:
    owner = dam.user()
    refused = adding(dam, owner, dam.workspace(owner).id, user)
    assert (refused.code, refused.fields) == (INVALID, ("user_id",))


def test_a_place_has_to_be_named(dam: Tenants) -> None:
    client = dam.client(dam.user()).memberships
    for request in (pb.AddMemberRequest(user_id="ann"), pb.AddMemberRequest(user_id="ann", workspace_id="")):
        refused = refusal(client.AddMember, request)
        assert (refused.code, refused.fields) == (INVALID, ("workspace_id",))
    refused = refusal(client.AddMember, pb.AddMemberRequest(workspace_id="w", user_id=""))
    assert refused.code in {INVALID, NOT_FOUND}


def test_nobody_is_added_to_a_suspended_or_inactive_place(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    states = dam.operator.states
    states.SuspendWorkspace(workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=workspace))
    refused = adding(dam, owner, workspace)
    assert (refused.code, refused.reason) == (DENIED, "WORKSPACE_SUSPENDED")
    refused = adding(dam, OPERATOR, workspace)
    assert (refused.code, refused.reason, refused.violations) == (
        PRECONDITION,
        "WORKSPACE_SUSPENDED",
        ("WORKSPACE_SUSPENDED",),
    )
    states.ReinstateWorkspace(workspace_states_pb2.ReinstateWorkspaceRequest(workspace_id=workspace))
    states.DeactivateWorkspace(workspace_states_pb2.DeactivateWorkspaceRequest(workspace_id=workspace))
    refused = adding(dam, OPERATOR, workspace)
    assert (refused.code, refused.reason) == (PRECONDITION, "WORKSPACE_INACTIVE")


@pytest.mark.req("REQ-054")
def test_every_way_into_a_workspace_ensures_a_membership_of_the_organization(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    organization = dam.organization(owner).id
    workspace = dam.workspace(owner, organization_id=organization).id
    child = dam.child(owner, workspace).id
    add(dam, owner, child, user)
    request = organizations_pb2.ListUserOrganizationsRequest()
    mine = dam.client(user).organizations.ListUserOrganizations(request).organizations
    assert [(item.organization.id, item.role) for item in mine] == [(organization, "member")]


# --- the ceiling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"role": "admin"},
        {"permissions": ["can-manage-workspace"]},
        {"modules": modules("dam", "analytics")},
        {"modules": None},
    ],
)
def test_nobody_grants_more_than_they_hold(dam: Tenants, more: dict[str, Any]) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace, permissions=["can-manage-users"], modules=modules("dam"))
    usual = {"role": "member", "permissions": ["can-manage-users"], "modules": modules("dam")}
    assert add(dam, manager, workspace, dam.user(), **usual).membership.role == "member"
    refused = adding(dam, manager, workspace, **{**usual, **more})
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_CEILING", "AuthError")


def test_nobody_puts_its_own_expiry_off(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin", expires_at={"seconds": 4_000_000_000})
    for fields in ({"expires_at": {"seconds": 4_000_000_001}}, {}):  # later, or never
        refused = updating(dam, admin, workspace, admin, "expires_at", **fields)
        assert (refused.code, refused.reason) == (DENIED, "ROLE_CEILING")
    sooner = update(dam, admin, workspace, admin, expires_at={"seconds": 3_999_999_999})
    assert sooner.expires_at.seconds == 3_999_999_999
    assert (
        update(dam, owner, workspace, admin, expires_at={"seconds": 4_000_000_001}).expires_at.seconds > 4_000_000_000
    )


def test_nobody_touches_a_member_above(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace, permissions=["can-manage-users"])
    admin = dam.member(owner, workspace, role="admin")
    for refused in (
        updating(dam, manager, workspace, admin, role="viewer"),
        updating(dam, manager, workspace, admin, is_active=False),
        removing(dam, manager, workspace, admin),
    ):
        assert (refused.code, refused.reason) == (DENIED, "ROLE_CEILING")


def test_nobody_raises_themselves_or_others(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace, role="viewer", permissions=["can-manage-users"])
    viewer = dam.member(owner, workspace, role="viewer")
    for user in (manager, viewer):
        assert updating(dam, manager, workspace, user, role="admin").reason == "ROLE_CEILING"
        refused = updating(dam, manager, workspace, user, permissions=["can-manage-workspace"])
        assert refused.reason == "ROLE_CEILING"


def test_a_role_from_above_counts_for_the_ceiling(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    admin = dam.member(owner, root, role="admin")
    assert add(dam, admin, child, dam.user(), role="admin").membership.role == "admin"


def test_members_add_nobody(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    refused = adding(dam, dam.member(owner, workspace), workspace)
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_INSUFFICIENT", "AuthError")


# --- AddMemberByEmail -------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-053")
def test_an_address_gives_three_outcomes_as_data(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    added = by_email(dam, owner, workspace, f"  {user.upper()}@Example.com ", role="viewer")
    assert added.outcome == pb.ADD_MEMBER_OUTCOME_ADDED
    assert (added.membership.user_id, added.membership.role) == (user, "viewer")
    again = by_email(dam, owner, workspace, f"{user}@example.com", role="member")
    assert again.outcome == pb.ADD_MEMBER_OUTCOME_ALREADY_MEMBER
    assert (again.membership.user_id, again.membership.role) == (user, "viewer")
    assert again.revision == added.revision


@pytest.mark.req("REQ-053")
def test_an_unknown_or_unverified_address_has_no_effect(dam: Tenants) -> None:
    owner, unverified = dam.user(), dam.user(verified=False)
    organization = dam.organization(owner).id
    workspace = dam.workspace(owner, organization_id=organization).id
    before = dam.revision
    answers = [by_email(dam, owner, workspace, email) for email in ("no@example.com", f"{unverified}@example.com")]
    assert {answer.outcome for answer in answers} == {pb.ADD_MEMBER_OUTCOME_NOT_FOUND}
    assert not any(answer.HasField("membership") for answer in answers)
    assert dam.revision == before
    request = organizations_pb2.ListUserOrganizationsRequest()
    assert not dam.client(unverified).organizations.ListUserOrganizations(request).organizations


@pytest.mark.req("REQ-054")
def test_an_address_ensures_a_membership_of_the_organization(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner, organization_id=dam.organization(owner).id).id
    by_email(dam, owner, workspace, f"{user}@example.com")
    request = organizations_pb2.ListUserOrganizationsRequest()
    assert len(dam.client(user).organizations.ListUserOrganizations(request).organizations) == 1


def test_by_address_the_ceiling_holds_too(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace, permissions=["can-manage-users"])
    request = pb.AddMemberByEmailRequest(workspace_id=workspace, email=f"{user}@example.com", role="admin")
    refused = refusal(dam.client(manager).memberships.AddMemberByEmail, request)
    assert (refused.code, refused.reason) == (DENIED, "ROLE_CEILING")


def test_a_missing_address_is_refused(dam: Tenants) -> None:
    owner = dam.user()
    request = pb.AddMemberByEmailRequest(workspace_id=dam.workspace(owner).id, email=" ")
    refused = refusal(dam.client(owner).memberships.AddMemberByEmail, request)
    assert (refused.code, refused.fields) == (INVALID, ("email",))


# --- GetMember, ListMembers -------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-047")
def test_a_member_comes_with_the_user(dam: Tenants) -> None:
    owner, user = dam.user("owner"), dam.user("uma", image_url="https://x/uma.png")
    workspace = dam.workspace(owner).id
    add(dam, owner, workspace, user)
    member = get(dam, owner, workspace, user)
    assert (member.user_name, member.user_email) == ("Uma", f"{user}@example.com")
    assert (member.user_image_url, member.is_owner) == ("https://x/uma.png", False)
    assert get(dam, user, workspace, owner).is_owner


@pytest.mark.req("REQ-094", "REQ-097")
@pytest.mark.parametrize("bundle", ["eventpalour", "default", "dam", "oneglanse"])
def test_members_read_their_own_membership_whatever_their_role(
    sqlite_template: Path, tmp_path: Path, bundle: str
) -> None:
    copy = copy_bundle(bundle, tmp_path, tests=False)
    policy = copy / "policy.csv"
    rules = [rule for rule in policy.read_text().splitlines(keepends=True) if ", member/*," not in rule]
    policy.write_text("".join([*rules, "p, role:operator, *, member/*, *, any, allow\n"]))
    with serving(sqlite_database(sqlite_template), str(copy)) as tenants:
        owner, user, stranger = tenants.user(), tenants.user(), tenants.user()
        organization = tenants.organization(owner).id
        workspace = tenants.workspace(owner, organization_id=organization).id
        tenants.member(str(tenants.operator.actor), workspace, user=user)
        for place in ({"workspace_id": workspace}, {"organization_id": organization}):
            own = tenants.client(user).memberships.GetMember(pb.GetMemberRequest(user_id=user, **place)).member
            assert own.membership.id.startswith("member_")
            assert own.membership.HasField("joined_at")
            others = refusal(tenants.client(user).memberships.GetMember, pb.GetMemberRequest(user_id=owner, **place))
            assert others.code == DENIED
            unknown = {name: f"{name[:-3]}_unknown" for name in place}
            foreign, nowhere = (
                refusal(tenants.client(stranger).memberships.GetMember, pb.GetMemberRequest(user_id=stranger, **where))
                for where in (place, unknown)
            )
            assert foreign == nowhere
            assert foreign.code == NOT_FOUND
        update(tenants, str(tenants.operator.actor), workspace, user, is_active=False)
        assert not get(tenants, user, workspace, user).membership.is_active
        remove(tenants, str(tenants.operator.actor), workspace, user)
        request = pb.GetMemberRequest(workspace_id=workspace, user_id=user)
        assert refusal(tenants.client(user).memberships.GetMember, request).reason == "WORKSPACE_NOT_FOUND"


def test_who_views_a_place_without_a_membership_has_none_to_read(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    admin = dam.member(owner, parent, role="admin")
    request = pb.GetMemberRequest(workspace_id=dam.child(owner, parent).id, user_id=admin)
    assert refusal(dam.client(admin).memberships.GetMember, request).reason == "MEMBER_NOT_FOUND"


@pytest.mark.req("REQ-047")
def test_the_list_has_the_live_ones(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    kept, gone, idle = (dam.member(owner, workspace) for _ in range(3))
    remove(dam, owner, workspace, gone)
    update(dam, owner, workspace, idle, is_active=False)
    assert listed(dam, owner, workspace) == sorted([owner, kept, idle])
    assert listed(dam, owner, workspace, is_active=False) == [idle]
    assert listed(dam, owner, workspace, is_active=True) == sorted([owner, kept])
    assert listed(dam, owner, workspace, role="admin") == [owner]


def test_a_part_of_the_name_or_address_finds_a_member(dam: Tenants) -> None:
    owner = dam.user("owner")
    workspace = dam.workspace(owner).id
    found = dam.member(owner, workspace, user=dam.user("xeno", name="Zoë Quinn"))
    assert listed(dam, owner, workspace, query="qUINN") == [found]
    assert listed(dam, owner, workspace, query="XENO-") == [found]
    assert listed(dam, owner, workspace, query="%") == []


def test_members_come_in_pages(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    made = sorted([owner, *(dam.member(owner, workspace) for _ in range(4))])
    client = dam.client(owner).memberships
    found: list[str] = []
    token = ""
    while True:
        page = client.ListMembers(pb.ListMembersRequest(workspace_id=workspace, page_size=2, page_token=token))
        found += [member.membership.user_id for member in page.members]
        token = page.next_page_token
        if not token:
            break
        other = pb.ListMembersRequest(workspace_id=workspace, page_size=2, page_token=token, role="admin")
        assert refusal(client.ListMembers, other).fields == ("page_token",)
    assert found == made


def test_viewers_list_nobody(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    viewer = dam.member(owner, workspace, role="viewer")
    refused = refusal(dam.client(viewer).memberships.ListMembers, pb.ListMembersRequest(workspace_id=workspace))
    assert (refused.code, refused.reason) == (DENIED, "ROLE_INSUFFICIENT")


# --- UpdateMember -----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-037")
def test_a_member_is_promoted(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    assert update(dam, owner, workspace, member, role="admin").role == "admin"
    assert dam.reason(member, workspace, "dam:asset delete") == ""


def test_a_field_named_and_not_given_is_cleared(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    until = {"seconds": int(time.time()) + 3600}
    add(dam, owner, workspace, user, permissions=["can-manage-users"], modules=modules("dam"), expires_at=until)
    cleared = update(dam, owner, workspace, user, "permissions", "modules", "expires_at")
    assert not cleared.permissions
    assert not cleared.HasField("modules")
    assert not cleared.HasField("expires_at")
    assert dam.reason(user, workspace, "analytics:report read") == ""


@pytest.mark.req("REQ-097")
def test_a_deactivated_member_has_nothing_until_activated(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    assert not update(dam, owner, workspace, member, is_active=False).is_active
    assert dam.reason(member, workspace) == "MEMBERSHIP_INACTIVE"
    assert update(dam, owner, workspace, member, is_active=True).is_active
    assert dam.reason(member, workspace) == ""


def test_nobody_is_added_whom_the_organization_has_deactivated(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    first, second = (dam.workspace(owner, name, organization_id=organization).id for name in ("First", "Second"))
    user = dam.member(owner, first)
    asleep = pb.UpdateMemberRequest(organization_id=organization, user_id=user, is_active=False)
    asleep.update_mask.paths.append("is_active")
    dam.client(owner).memberships.UpdateMember(asleep)
    client = dam.client(owner).memberships
    refused = refusal(client.AddMember, pb.AddMemberRequest(workspace_id=second, user_id=user))
    assert (refused.code, refused.reason) == (DENIED, "MEMBERSHIP_INACTIVE")
    request = pb.AddMemberByEmailRequest(workspace_id=second, email=f"{user}@example.com")
    assert refusal(client.AddMemberByEmail, request).reason == "MEMBERSHIP_INACTIVE"
    assert dam.reason(user, second) == "NOT_A_MEMBER"
    asleep.is_active = True
    client.UpdateMember(asleep)
    assert client.AddMember(pb.AddMemberRequest(workspace_id=second, user_id=user)).membership.role == "member"


@pytest.mark.parametrize("paths", [(), ("user_id",), ("nonsense",), ("role", "id"), ("*",)])
def test_a_mask_names_what_may_change(dam: Tenants, paths: tuple[str, ...]) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    request = pb.UpdateMemberRequest(workspace_id=workspace, user_id=dam.member(owner, workspace), role="viewer")
    request.update_mask.paths.extend(paths)
    refused = refusal(dam.client(owner).memberships.UpdateMember, request)
    assert (refused.code, refused.fields) == (INVALID, ("update_mask",))


def test_an_update_to_what_the_catalog_lacks_is_refused(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    assert updating(dam, owner, workspace, member, role="owner").reason == "UNKNOWN_ROLE"
    assert updating(dam, owner, workspace, member, permissions=["x"]).reason == "UNKNOWN_PERMISSION"
    assert updating(dam, owner, workspace, member, modules=modules("x")).reason == "UNKNOWN_MODULE"


def test_an_update_to_what_is_there_changes_no_revision(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace, role="viewer")
    before = dam.revision
    update(dam, owner, workspace, member, "role", "permissions", "modules", "is_active", role="viewer", is_active=True)
    assert dam.revision == before


def test_a_member_that_is_not_there_is_not_updated(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    refused = updating(dam, owner, workspace, dam.user(), role="viewer")
    assert (refused.code, refused.reason, refused.kind) == (NOT_FOUND, "MEMBER_NOT_FOUND", "NotFoundError")


# --- the primary owner ------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-025", "REQ-106")
def test_the_primary_owner_is_protected_from_admins(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    for refused in (
        updating(dam, admin, workspace, owner, role="viewer"),
        updating(dam, admin, workspace, owner, is_active=False),
        updating(dam, admin, workspace, owner, modules=modules("dam")),
        removing(dam, admin, workspace, owner),
    ):
        assert (refused.code, refused.reason) in {(PRECONDITION, "PRIMARY_OWNER"), (DENIED, "ROLE_CEILING")}
    assert get(dam, owner, workspace, owner).membership.role == "admin"


@pytest.mark.req("REQ-025")
def test_the_primary_owner_neither_leaves_nor_lowers_itself(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    leave = refusal(dam.client(owner).memberships.Leave, pb.LeaveRequest(workspace_id=workspace))
    for refused in (
        leave,
        updating(dam, owner, workspace, owner, role="viewer"),
        updating(dam, owner, workspace, owner, is_active=False),
        updating(dam, owner, workspace, owner, modules=modules("dam")),
    ):
        assert (refused.code, refused.reason, refused.kind) == (PRECONDITION, "PRIMARY_OWNER", "ValidationError")
        assert refused.violations == ("PRIMARY_OWNER",)


# --- RemoveMember, Leave ----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-050")
def test_a_removed_member_may_be_added_again_as_a_new_one(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    first = add(dam, owner, workspace, user, role="admin").membership
    assert remove(dam, owner, workspace, user)
    assert dam.reason(user, workspace) == "NOT_A_MEMBER"
    second = add(dam, owner, workspace, user).membership
    assert second.id != first.id
    assert second.role == "member"
    assert second.joined_at.ToNanoseconds() > first.joined_at.ToNanoseconds()


@pytest.mark.req("REQ-052")
def test_an_unknown_or_removed_member_is_not_found(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    remove(dam, owner, workspace, member)
    for user in (member, dam.user(), "nobody-at-all"):
        refused = removing(dam, owner, workspace, user)
        assert (refused.code, refused.reason, refused.kind) == (NOT_FOUND, "MEMBER_NOT_FOUND", "NotFoundError")
        request = pb.GetMemberRequest(workspace_id=workspace, user_id=user)
        assert refusal(dam.client(owner).memberships.GetMember, request) == refused


def test_removing_yourself_goes_through_leave(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    refused = removing(dam, admin, workspace, admin)
    assert (refused.code, refused.reason, refused.kind) == (PRECONDITION, "CANNOT_REMOVE_SELF", "ValidationError")
    dam.client(admin).memberships.Leave(pb.LeaveRequest(workspace_id=workspace))
    assert dam.reason(admin, workspace) == "NOT_A_MEMBER"


def test_everybody_may_leave_a_suspended_workspace(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    viewer = dam.member(owner, workspace, role="viewer")
    dam.operator.states.SuspendWorkspace(workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=workspace))
    dam.client(viewer).memberships.Leave(pb.LeaveRequest(workspace_id=workspace))
    assert dam.reason(viewer, workspace) == "NOT_A_MEMBER"


def test_nobody_leaves_what_they_are_not_in(dam: Tenants) -> None:
    stranger, workspace = dam.user(), dam.workspace(dam.user()).id
    client = dam.client(stranger).memberships
    foreign = refusal(client.Leave, pb.LeaveRequest(workspace_id=workspace))
    assert foreign == refusal(client.Leave, pb.LeaveRequest(workspace_id="workspace_unknown"))
    assert foreign.code == NOT_FOUND


@pytest.mark.req("REQ-001")
def test_members_of_a_foreign_workspace_are_members_of_none(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    for first, second in (
        (removing(dam, stranger, workspace, owner), removing(dam, stranger, "workspace_x", owner)),
        (adding(dam, stranger, workspace, "a"), adding(dam, stranger, "workspace_x", "a")),
        (
            updating(dam, stranger, workspace, owner, role="viewer"),
            updating(dam, stranger, "workspace_x", owner, role="viewer"),
        ),
    ):
        assert first == second
        assert (first.code, first.reason) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")


# --- organizations ----------------------------------------------------------------------------------------------------


def test_members_of_an_organization_are_managed_the_same_way(dam: Tenants) -> None:
    owner, user = dam.user("owner"), dam.user()
    organization = dam.organization(owner).id
    client = dam.client(owner).memberships
    added = client.AddMember(pb.AddMemberRequest(organization_id=organization, user_id=user)).membership
    assert (added.organization_id, added.role, added.HasField("workspace_id")) == (organization, "member", False)
    members = client.ListMembers(pb.ListMembersRequest(organization_id=organization)).members
    assert [member.membership.user_id for member in members] == sorted([owner, user])
    request = pb.UpdateMemberRequest(organization_id=organization, user_id=user, role="organization-owner")
    request.update_mask.paths.append("role")
    assert client.UpdateMember(request).membership.role == "organization-owner"
    client.RemoveMember(pb.RemoveMemberRequest(organization_id=organization, user_id=user))
    assert (
        dam.client(user).organizations.ListUserOrganizations(organizations_pb2.ListUserOrganizationsRequest())
        == organizations_pb2.ListUserOrganizationsResponse()
    )


@pytest.mark.parametrize("role", ["admin", "viewer", "owner"])
def test_roles_of_workspaces_are_none_of_an_organization(dam: Tenants, role: str) -> None:
    owner = dam.user()
    request = pb.AddMemberRequest(organization_id=dam.organization(owner).id, user_id="ann", role=role)
    refused = refusal(dam.client(owner).memberships.AddMember, request)
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "UNKNOWN_ROLE", ("role",))


def test_leaving_an_organization_is_leaving_its_workspaces(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    organization = dam.organization(owner).id
    root = dam.workspace(owner, organization_id=organization).id
    child = dam.child(owner, root).id
    for workspace in (root, child):
        add(dam, owner, workspace, user)
    request = pb.RemoveMemberRequest(organization_id=organization, user_id=user)
    dam.client(owner).memberships.RemoveMember(request)
    assert {dam.reason(user, workspace) for workspace in (root, child)} == {"NOT_A_MEMBER"}
    assert user not in listed(dam, owner, root)


def test_the_last_owner_of_an_organization_stays(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    refused = refusal(dam.client(owner).memberships.Leave, pb.LeaveRequest(organization_id=organization))
    assert (refused.code, refused.reason) == (PRECONDITION, "LAST_OWNER")
    second = dam.member(owner, organization=organization, role="organization-owner")
    dam.client(owner).memberships.Leave(pb.LeaveRequest(organization_id=organization))
    refused = refusal(dam.client(second).memberships.Leave, pb.LeaveRequest(organization_id=organization))
    assert refused.reason == "LAST_OWNER"


def test_a_deactivated_user_does_nothing(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    dam.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=admin, is_active=False))
    refused = adding(dam, admin, workspace)
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "USER_INACTIVE", "AuthError")
