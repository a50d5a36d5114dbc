import re
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tables import found, json_of
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, refusal
from wsauthz.v1 import memberships_pb2, organizations_pb2, places_pb2, settings_pb2, workspace_states_pb2
from wsauthz.v1 import workspaces_pb2 as pb

DENIED = grpc.StatusCode.PERMISSION_DENIED
INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def create(tenants: Tenants, actor: str, **fields: Any) -> pb.CreateWorkspaceResponse:
    return tenants.client(actor).workspaces.CreateWorkspace(pb.CreateWorkspaceRequest(**fields))


def creating(tenants: Tenants, actor: str, **fields: Any) -> Refusal:
    return refusal(tenants.client(actor).workspaces.CreateWorkspace, pb.CreateWorkspaceRequest(**fields))


def creating_child(tenants: Tenants, actor: str, parent: str, **fields: Any) -> Refusal:
    request = pb.CreateChildWorkspaceRequest(parent_workspace_id=parent, **{"name": "East", **fields})
    return refusal(tenants.client(actor).workspaces.CreateChildWorkspace, request)


def get(tenants: Tenants, actor: str, workspace: str) -> pb.GetWorkspaceResponse:
    return tenants.client(actor).workspaces.GetWorkspace(pb.GetWorkspaceRequest(workspace_id=workspace))


def getting(tenants: Tenants, actor: str, workspace: str) -> Refusal:
    return refusal(tenants.client(actor).workspaces.GetWorkspace, pb.GetWorkspaceRequest(workspace_id=workspace))


def update_request(workspace: str, *paths: str, **fields: Any) -> pb.UpdateWorkspaceRequest:
    request = pb.UpdateWorkspaceRequest(workspace_id=workspace, workspace=pb.Workspace(**fields))
    request.update_mask.paths.extend(paths or fields)
    return request


def update(tenants: Tenants, actor: str, workspace: str, *paths: str, **fields: Any) -> pb.UpdateWorkspaceResponse:
    return tenants.client(actor).workspaces.UpdateWorkspace(update_request(workspace, *paths, **fields))


def updating(tenants: Tenants, actor: str, workspace: str, *paths: str, **fields: Any) -> Refusal:
    return refusal(tenants.client(actor).workspaces.UpdateWorkspace, update_request(workspace, *paths, **fields))


def features(**flags: bool) -> pb.WorkspaceSettings:
    return pb.WorkspaceSettings(features=flags)


def member_of(tenants: Tenants, actor: str, workspace: str, user: str) -> memberships_pb2.Membership:
    request = memberships_pb2.GetMemberRequest(workspace_id=workspace, user_id=user)
    return tenants.client(actor).memberships.GetMember(request).member.membership


# --- CreateWorkspace --------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-003", "REQ-004", "REQ-005", "REQ-006", "REQ-012", "REQ-025", "REQ-028", "REQ-086", "REQ-093")
def test_a_stand_alone_workspace_belongs_to_its_creator(dam: Tenants) -> None:
    user = dam.user()
    answer = create(dam, user, name="  Marketing Team ", description="We market.", image_url="https://x/logo.png")
    made = answer.workspace
    assert re.fullmatch(r"workspace_[A-Za-z0-9_-]{16}", made.id)
    assert (made.name, made.slug, made.description) == ("Marketing Team", "marketing-team", "We market.")
    assert (made.owner_user_id, made.image_url) == (user, "https://x/logo.png")
    assert made.is_active
    assert not made.is_suspended
    assert list(made.modules) == ["dam", "analytics", "collaboration"]
    assert not made.HasField("organization_id")
    assert not made.HasField("parent_workspace_id")
    assert not made.HasField("schedule")
    assert not made.HasField("enabled_providers")
    assert made.created_at.ToSeconds() > 1_600_000_000
    assert made.created_at == made.updated_at
    assert not answer.HasField("organization")
    assert answer.revision
    assert member_of(dam, user, made.id, user).role == "admin"
    assert dam.reason(user, made.id, "workspace transfer") == ""


@pytest.mark.req("REQ-027", "REQ-043")
def test_the_first_workspace_is_told_from_the_next(dam: Tenants) -> None:
    user = dam.user()
    client = dam.client(user).workspaces
    assert client.CheckFirstWorkspace(pb.CheckFirstWorkspaceRequest()).is_first_workspace
    assert create(dam, user, name="One").is_first_workspace
    assert not client.CheckFirstWorkspace(pb.CheckFirstWorkspaceRequest()).is_first_workspace
    assert not create(dam, user, name="Two").is_first_workspace


@pytest.mark.req("REQ-040", "REQ-041")
def test_a_new_organization_comes_with_its_workspace(dam: Tenants) -> None:
    user = dam.user()
    answer = create(dam, user, name="Oak Tree", new_organization=pb.NewOrganization())
    assert answer.organization.name == "Oak Tree"
    assert answer.organization.slug.startswith("oak-tree")
    assert answer.workspace.organization_id == answer.organization.id
    request = organizations_pb2.ListUserOrganizationsRequest()
    mine = dam.client(user).organizations.ListUserOrganizations(request).organizations
    assert [(item.organization.id, item.role) for item in mine] == [(answer.organization.id, "organization-owner")]


def test_the_first_workspace_of_a_new_organization_asks_for_the_organization_alone(
    sqlite_template: Path, tmp_path: Path
) -> None:
    bundle = copy_bundle("oneglanse", tmp_path, tests=False)
    policy, alone = bundle / "policy.csv", "p, role:everyone, platform, workspace/*, create, active, allow"
    assert alone in policy.read_text()
    policy.write_text(policy.read_text().replace(alone, ""))
    with serving(sqlite_database(sqlite_template), str(bundle)) as tenants:
        user = tenants.user()
        assert creating(tenants, user, name="Alone").reason == "ROLE_INSUFFICIENT"
        made = create(tenants, user, name="Oak", new_organization=pb.NewOrganization())
        assert made.workspace.organization_id == made.organization.id
        assert create(tenants, user, name="Second", organization_id=made.organization.id).workspace.id
        shown = tenants.client(user).workspaces.ListUserWorkspaces(pb.ListUserWorkspacesRequest())
        assert (shown.can_create_workspace, shown.can_create_organization) == (False, True)


def test_who_may_not_create_organizations_does_not_create_one_with_a_workspace(
    sqlite_template: Path, tmp_path: Path
) -> None:
    bundle = copy_bundle("oneglanse", tmp_path, tests=False)
    policy, organizations = bundle / "policy.csv", "p, role:everyone, platform, organization/*, create, active, allow"
    assert organizations in policy.read_text()
    policy.write_text(policy.read_text().replace(organizations, ""))
    with serving(sqlite_database(sqlite_template), str(bundle)) as tenants:
        user = tenants.user()
        refused = creating(tenants, user, name="Oak", new_organization=pb.NewOrganization())
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
        assert create(tenants, user, name="Alone").workspace.id
        shown = tenants.client(user).workspaces.ListUserWorkspaces(pb.ListUserWorkspacesRequest())
        assert (shown.can_create_workspace, shown.can_create_organization) == (True, False)


def test_a_new_organization_has_the_name_it_is_given(dam: Tenants) -> None:
    named = pb.NewOrganization(name="Elm", slug="elm-of-the-tests")
    answer = create(dam, dam.user(), name="Oak", new_organization=named)
    assert (answer.organization.name, answer.organization.slug) == ("Elm", "elm-of-the-tests")
    refused = creating(dam, dam.user(), name="Oak", new_organization=named)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLUG_TAKEN")


@pytest.mark.req("REQ-042")
def test_only_members_create_in_an_organization(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    organization = dam.organization(owner).id
    foreign = creating(dam, stranger, name="Oak", organization_id=organization)
    unknown = creating(dam, stranger, name="Oak", organization_id="organization_unknown")
    assert foreign == unknown
    assert (foreign.code, foreign.reason, foreign.kind) == (PRECONDITION, "NOT_ORG_MEMBER", "ValidationError")
    assert foreign.violations == ("NOT_ORG_MEMBER",)
    assert create(dam, owner, name="Oak", organization_id=organization).workspace.organization_id == organization


def test_a_member_without_the_right_creates_none_in_an_organization(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    member = dam.member(owner, organization=organization)
    refused = creating(dam, member, name="Oak", organization_id=organization)
    assert (refused.code, refused.reason) == (DENIED, "ROLE_INSUFFICIENT")


def test_nobody_creates_in_a_suspended_organization(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    request = organizations_pb2.SuspendOrganizationRequest(organization_id=organization)
    dam.operator.organizations.SuspendOrganization(request)
    refused = creating(dam, owner, name="Oak", organization_id=organization)
    assert (refused.code, refused.reason) == (DENIED, "WORKSPACE_SUSPENDED")


def test_slugs_are_unique_in_an_organization(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    slugs = [create(dam, owner, name="Sea Side", organization_id=organization).workspace.slug for _ in range(3)]
    assert slugs == ["sea-side", "sea-side-2", "sea-side-3"]
    refused = creating(dam, owner, name="Other", slug="sea-side", organization_id=organization)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLUG_TAKEN")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Marketing\u2014Team", "marketing-team"),
        ("East\u00b7West", "east-west"),
        ("\u65e5\u672cx\u65e5\u672cy", "x-y"),
        ("Caf\u00e9 Noir", "caf-noir"),
        ("Cafe\u0301 Noir", "caf-noir"),
        ("  --A__B--  ", "a-b"),
        ("\u65e5\u672c", "workspace"),
    ],
)
def test_in_a_slug_everything_else_becomes_one_dash(dam: Tenants, name: str, slug: str) -> None:
    assert create(dam, dam.user(), name=name).workspace.slug == slug


def test_slugs_of_other_organizations_and_of_deleted_workspaces_are_free(dam: Tenants) -> None:
    owner = dam.user()
    first, second = dam.organization(owner).id, dam.organization(owner).id
    gone = create(dam, owner, name="A", slug="shared", organization_id=first).workspace.id
    assert create(dam, owner, name="A", slug="shared", organization_id=second).workspace.slug == "shared"
    dam.client(owner).workspaces.DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace_id=gone))
    assert create(dam, owner, name="A", slug="shared", organization_id=first).workspace.slug == "shared"


@pytest.mark.req("REQ-004", "REQ-009", "REQ-010")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \t "),
        ("name", "x" * 256),
        ("domain", "x" * 257),
        ("description", "x" * 10_001),
        ("image_url", "x" * 2_049),
        ("website", "x" * 256),
        ("phone", "1" * 51),
    ],
)
def test_a_value_that_does_not_fit_is_refused(dam: Tenants, field: str, value: str) -> None:
    refused = creating(dam, dam.user(), **{"name": "Oak", field: value})
    assert (refused.code, refused.kind, refused.fields) == (INVALID, "ValidationError", (field,))


def test_an_unknown_module_is_refused(dam: Tenants) -> None:
    refused = creating(dam, dam.user(), name="Oak", modules=modules("dam", "warp"))
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "UNKNOWN_MODULE", ("modules",))


@pytest.mark.req("REQ-090")
def test_the_modules_given_are_the_modules(dam: Tenants) -> None:
    user = dam.user()
    assert list(create(dam, user, name="Oak", modules=modules("analytics", "dam")).workspace.modules) == [
        "analytics",
        "dam",
    ]
    assert not create(dam, user, name="Oak", modules=modules()).workspace.modules


def test_an_unknown_user_creates_none(dam: Tenants) -> None:
    refused = creating(dam, "nobody-yet", name="Oak")
    assert (refused.code, refused.reason) == (DENIED, "NOT_A_MEMBER")


# --- CreateChildWorkspace ---------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-073", "REQ-139", "REQ-141", "REQ-142")
def test_a_child_belongs_to_its_creator_and_to_the_parent_s_organization(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    parent = dam.workspace(owner, organization_id=organization).id
    admin = dam.member(owner, parent, role="admin")
    child = dam.child(admin, parent, "East Side", modules=modules("dam"), settings=features(custom_fields=False))
    assert (child.parent_workspace_id, child.organization_id) == (parent, organization)
    assert (child.owner_user_id, child.slug, list(child.modules)) == (admin, "east-side", ["dam"])
    assert dict(child.settings.features) == {"custom_fields": False}
    assert member_of(dam, admin, child.id, admin).role == "admin"
    mine = dam.client(admin).workspaces.ListUserWorkspaces(pb.ListUserWorkspacesRequest()).workspaces
    assert child.id in [item.id for item in mine]


def test_without_a_list_a_child_has_what_its_creator_has_of_the_parent(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner, modules=modules("dam", "analytics")).id
    assert list(dam.child(owner, parent).modules) == ["dam", "analytics"]
    limited = dam.member(owner, parent, role="admin", modules=modules("analytics"))
    assert list(dam.child(limited, parent).modules) == ["analytics"]


def test_a_child_has_no_module_that_its_parent_lacks(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner, modules=modules("dam")).id
    refused = creating_child(dam, owner, parent, modules=modules("dam", "analytics"))
    assert (refused.code, refused.reason, refused.violations) == (
        PRECONDITION,
        "MODULE_NOT_IN_PARENT",
        ("MODULE_NOT_IN_PARENT",),
    )


def test_a_child_has_no_module_that_its_creator_lacks(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    limited = dam.member(owner, parent, role="admin", modules=modules("dam"))
    refused = creating_child(dam, limited, parent, modules=modules("analytics"))
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_CEILING", "AuthError")


@pytest.mark.req("REQ-123", "REQ-124")
def test_neither_a_member_nor_a_permission_creates_children(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    for permissions in ([], ["can-manage-workspace"]):
        member = dam.member(owner, parent, permissions=permissions)
        refused = creating_child(dam, member, parent)
        assert (refused.code, refused.reason) == (DENIED, "ROLE_INSUFFICIENT")


@pytest.mark.req("REQ-125")
def test_switched_off_children_are_created_by_nobody(dam: Tenants) -> None:
    owner = dam.user()
    parent = create(dam, owner, name="North", settings=features(child_workspaces=False)).workspace.id
    refused = creating_child(dam, owner, parent)
    assert (refused.code, refused.reason) == (DENIED, "CHILD_WORKSPACES_NOT_ALLOWED")


def test_a_suspended_parent_gets_no_children_of_its_admins(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    suspend(dam, parent)
    refused = creating_child(dam, owner, parent)
    assert (refused.code, refused.reason) == (DENIED, "WORKSPACE_SUSPENDED")


def test_a_foreign_parent_is_as_unknown_as_no_parent(dam: Tenants) -> None:
    parent, stranger = dam.workspace(dam.user()).id, dam.user()
    foreign = creating_child(dam, stranger, parent)
    assert foreign == creating_child(dam, stranger, "workspace_unknown")
    assert (foreign.code, foreign.reason, foreign.kind) == (
        grpc.StatusCode.NOT_FOUND,
        "WORKSPACE_NOT_FOUND",
        "NotFoundError",
    )


def test_a_tree_is_at_most_16_workspaces_deep(dam: Tenants) -> None:
    owner = dam.user()
    deepest = dam.workspace(owner).id
    for _ in range(15):
        deepest = dam.child(owner, deepest).id
    assert dam.reason(owner, deepest, "dam:asset delete") == ""
    refused = creating_child(dam, owner, deepest)
    assert (refused.code, refused.reason) == (PRECONDITION, "LIMIT_REACHED")


# --- GetWorkspace -----------------------------------------------------------------------------------------------------


def suspend(tenants: Tenants, workspace: str) -> None:
    request = workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=workspace, reason="unpaid")
    tenants.operator.states.SuspendWorkspace(request)


@pytest.mark.req("REQ-008", "REQ-083", "REQ-087", "REQ-134", "REQ-136")
def test_a_workspace_comes_with_what_is_effective(dam: Tenants) -> None:
    owner = dam.user("owner")
    parent = dam.workspace(owner, modules=modules("dam")).id
    child = dam.child(owner, parent).id
    viewer = dam.member(owner, child, role="viewer")
    found = get(dam, viewer, child)
    assert (found.owner.id, found.owner.name, found.owner.email) == (owner, "Owner", f"{owner}@example.com")
    assert (found.state, list(found.modules)) == (places_pb2.STATE_ACTIVE, ["dam"])
    assert (found.plan, found.plan_type, found.can_customize_branding) == ("", "", False)
    assert not found.HasField("suspended_by")


@pytest.mark.req("REQ-087")
@pytest.mark.req("REQ-089", "REQ-136")
def test_suspended_and_inactive_workspaces_are_shown(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    suspend(dam, parent)
    found = get(dam, owner, child)
    assert (found.state, found.suspended_by.workspace_id) == (places_pb2.STATE_SUSPENDED, parent)
    assert (found.workspace.is_suspended, found.workspace.is_active) == (False, True)
    dam.operator.states.DeactivateWorkspace(workspace_states_pb2.DeactivateWorkspaceRequest(workspace_id=parent))
    found = get(dam, owner, parent)
    assert found.state == places_pb2.STATE_INACTIVE
    assert (found.workspace.is_suspended, found.workspace.is_active) == (True, False)


@pytest.mark.req("REQ-044")
@pytest.mark.parametrize("workspace", ["", "  ", "a b", "a\n", "*", "a" * 129])
def test_a_blank_or_malformed_id_is_refused(dam: Tenants, workspace: str) -> None:
    refused = getting(dam, OPERATOR, workspace)
    assert (refused.code, refused.kind, refused.fields) == (INVALID, "ValidationError", ("workspace_id",))


@pytest.mark.req("REQ-001", "REQ-044")
def test_unknown_foreign_and_deleted_workspaces_look_the_same(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    kept, deleted = dam.workspace(owner).id, dam.workspace(owner).id
    dam.client(owner).workspaces.DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace_id=deleted))
    answers = {str(getting(dam, stranger, workspace)) for workspace in (kept, deleted, "workspace_unknown")}
    answers.add(str(getting(dam, owner, deleted)))
    answers.add(str(getting(dam, OPERATOR, deleted)))
    assert len(answers) == 1
    refused = getting(dam, stranger, kept)
    assert (refused.code, refused.reason, refused.kind) == (
        grpc.StatusCode.NOT_FOUND,
        "WORKSPACE_NOT_FOUND",
        "NotFoundError",
    )


# --- UpdateWorkspace --------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-005", "REQ-009", "REQ-010", "REQ-011", "REQ-080")
def test_the_fields_of_the_mask_change_and_no_others(dam: Tenants) -> None:
    owner = dam.user()
    made = dam.workspace(owner, description="Before", website="https://before")
    fields = {
        "description": "After",
        "phone": "+49 30 1234",
        "social_x": "https://x/a",
        "social_facebook": "https://f/a",
        "social_linkedin": "https://l/a",
        "social_instagram": "https://i/a",
        "social_github": "https://g/a",
        "notes": "Mind the gap.",
        "image_url": "https://i/logo.png",
    }
    request = update_request(made.id, *fields, website="https://ignored", **fields)
    answer = dam.client(owner).workspaces.UpdateWorkspace(request)
    assert {name: getattr(answer.workspace, name) for name in fields} == fields
    assert (answer.workspace.website, answer.workspace.name) == ("https://before", made.name)
    assert not answer.analysis_reset
    assert answer.workspace.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert get(dam, owner, made.id).workspace == answer.workspace


@pytest.mark.req("REQ-011")
def test_a_field_named_and_not_given_is_cleared(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner, website="https://before").id
    update(dam, owner, workspace, social_x="https://x/a")
    cleared = update(dam, owner, workspace, "website", "social_x").workspace
    assert (cleared.website, cleared.social_x) == ("", "")


@pytest.mark.req("REQ-013")
def test_reading_does_not_touch_the_time_of_change(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    first = get(dam, owner, workspace).workspace.updated_at
    assert get(dam, owner, workspace).workspace.updated_at == first


@pytest.mark.req("REQ-059")
def test_who_analyses_hears_of_it_by_a_change(dam: Tenants) -> None:
    """Analysis lives elsewhere: the epoch is told with the revision that made it, and only then."""

    def told(revision: str) -> list[Any]:
        rows = found(dam, f"SELECT * FROM changes WHERE revision = {revision.split('.')[1]} AND kind = 'unrelated'")
        return [values for row in rows if (values := json_of(row["values"]))]

    owner = dam.user()
    made = dam.workspace(owner, "Old Name")
    assert told(update(dam, owner, made.id, notes="Nothing to do with it").revision) == []
    renamed = update(dam, owner, made.id, name="New Name")
    assert told(renamed.revision) == [{"workspace_id": made.id, "analysis_epoch": 1}]
    both = update(
        dam, owner, made.id, "name", "settings.features", name="Newer", settings=features(child_workspaces=True)
    )
    assert told(both.revision) == [{"workspace_id": made.id, "analysis_epoch": 2}]


@pytest.mark.req("REQ-059")
def test_another_name_or_domain_makes_the_analysis_stale(dam: Tenants) -> None:
    owner = dam.user()
    made = dam.workspace(owner, "Old Name", domain="old.example.com")
    assert made.analysis_epoch == 0
    renamed = update(dam, owner, made.id, name="New Name", domain="old.example.com")
    assert (renamed.analysis_reset, renamed.workspace.analysis_epoch) == (True, 1)
    assert renamed.workspace.slug == made.slug
    moved = update(dam, owner, made.id, domain="new.example.com")
    assert (moved.analysis_reset, moved.workspace.analysis_epoch) == (True, 2)


@pytest.mark.req("REQ-059")
def test_only_white_space_makes_nothing_stale(dam: Tenants) -> None:
    owner = dam.user()
    made = dam.workspace(owner, "Same", domain="same.example.com")
    before = dam.revision
    answer = update(dam, owner, made.id, name="  Same ", domain=" same.example.com")
    assert (answer.analysis_reset, answer.workspace.analysis_epoch) == (False, 0)
    assert (answer.revision, answer.workspace.updated_at) == (before, made.updated_at)


@pytest.mark.parametrize(
    "path", ["is_suspended", "owner_user_id", "modules", "id", "nonsense", "settings", "*", "slug"]
)
def test_other_fields_are_not_to_be_updated(dam: Tenants, path: str) -> None:
    owner = dam.user()
    refused = updating(dam, owner, dam.workspace(owner).id, path)
    assert (refused.code, refused.fields) == (INVALID, ("update_mask",))


def test_an_empty_mask_is_refused(dam: Tenants) -> None:
    owner = dam.user()
    request = pb.UpdateWorkspaceRequest(workspace_id=dam.workspace(owner).id, workspace=pb.Workspace(name="X"))
    refused = refusal(dam.client(owner).workspaces.UpdateWorkspace, request)
    assert (refused.code, refused.fields) == (INVALID, ("update_mask",))


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("phone", "1" * 51), ("social_x", "x" * 256), ("notes", "x" * 10_001)]
)
def test_an_update_that_does_not_fit_is_refused(dam: Tenants, field: str, value: str) -> None:
    owner = dam.user()
    refused = updating(dam, owner, dam.workspace(owner).id, field, **{field: value})
    assert refused.code == INVALID
    assert refused.fields[0].endswith(field)


@pytest.mark.req("REQ-107")
def test_members_do_not_update_but_permitted_ones_do(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    refused = updating(dam, member, workspace, name="Mine")
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_INSUFFICIENT", "AuthError")
    permitted = dam.member(owner, workspace, role="viewer", permissions=["can-manage-workspace"])
    assert update(dam, permitted, workspace, name="Ours").workspace.name == "Ours"


@pytest.mark.req("REQ-081")
def test_branding_needs_a_plan_with_it(dam: Tenants) -> None:
    owner = dam.user()
    branding = pb.WorkspaceSettings(branding=pb.Branding(logo="https://x/logo.png", primary_color="#00AAFF"))
    refused = updating(dam, owner, dam.workspace(owner).id, "settings.branding", settings=branding)
    assert (refused.code, refused.reason) == (DENIED, "PLAN_FEATURE_MISSING")
    assert refused.metadata["field"] == "settings.branding"
    assert refused.message.startswith("settings.branding: ")
    created = creating(dam, owner, name="Branded", settings=branding)
    assert (created.reason, created.metadata["field"]) == ("PLAN_FEATURE_MISSING", "settings.branding")


@pytest.mark.req("REQ-081", "REQ-091")
def test_a_mask_may_name_one_field_of_the_branding(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    plan = settings_pb2.SetSubscriptionRequest(workspace_id=workspace, plan="professional")
    plan.status = settings_pb2.SUBSCRIPTION_STATUS_ACTIVE
    dam.operator.settings.SetSubscription(plan)
    both = pb.Branding(logo="https://x/logo.png", primary_color="#00AAFF")
    update(dam, owner, workspace, "settings.branding", settings=pb.WorkspaceSettings(branding=both))
    color = pb.WorkspaceSettings(branding=pb.Branding(primary_color="#112233", logo="unnamed"))
    changed = update(dam, owner, workspace, "settings.branding.primary_color", settings=color).workspace
    assert changed.settings.branding == pb.Branding(logo="https://x/logo.png", primary_color="#112233")
    cleared = update(dam, owner, workspace, "settings.branding.logo").workspace.settings.branding
    assert cleared == pb.Branding(primary_color="#112233")
    wrong = pb.WorkspaceSettings(branding=pb.Branding(primary_color="blue"))
    refused = updating(dam, owner, workspace, "settings.branding.primary_color", settings=wrong)
    assert refused.fields == ("settings.branding.primary_color",)
    member = dam.member(owner, workspace)
    assert updating(dam, member, workspace, "settings.branding.logo").code == DENIED


@pytest.mark.req("REQ-092")
def test_a_mask_may_name_one_feature(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    update(dam, owner, workspace, "settings.features", settings=features(custom_fields=True, advanced_search=False))
    given = features(custom_fields=False, unnamed=True)
    updated = update(dam, owner, workspace, "settings.features.custom_fields", settings=given).workspace
    assert dict(updated.settings.features) == {"custom_fields": False, "advanced_search": False}
    paths = [f"settings.features.{name}" for name in ("custom_fields", "a.b")]
    dotted = pb.WorkspaceSettings(features={"a.b": True})
    updated = update(dam, owner, workspace, *paths, settings=dotted).workspace  # one that is named and not given goes
    assert dict(updated.settings.features) == {"advanced_search": False, "a.b": True}
    before = dam.revision
    assert update(dam, owner, workspace, "settings.features.never_there").revision == before
    for path in ("settings.features.", "settings.features.a b", "settings.features." + "x" * 65):
        refused = updating(dam, owner, workspace, path)
        assert (refused.code, refused.fields) == (INVALID, ("update_mask",))
    refused = updating(dam, owner, workspace, "settings.featuresX")
    assert (refused.code, refused.fields) == (INVALID, ("update_mask",))


@pytest.mark.req("REQ-092")
def test_features_are_open_and_an_absent_one_is_not_a_false_one(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    assert not get(dam, owner, workspace).workspace.settings.features
    given = features(custom_fields=True, advanced_search=False)
    updated = update(dam, owner, workspace, "settings.features", settings=given).workspace
    assert dict(updated.settings.features) == {"custom_fields": True, "advanced_search": False}


@pytest.mark.req("REQ-125")
def test_restricting_features_are_the_business_of_the_place_above(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    refused = updating(dam, owner, parent, "settings.features", settings=features(child_workspaces=False))
    assert (refused.code, refused.metadata["field"]) == (DENIED, "settings.features.child_workspaces")
    assert refused.message.endswith("Only the place above may set it to false")
    update(dam, OPERATOR, parent, "settings.features", settings=features(child_workspaces=False))
    assert dam.reason(owner, parent, "workspace create_child") == "CHILD_WORKSPACES_NOT_ALLOWED"
    single = "settings.features.child_workspaces"
    for lifting in (features(child_workspaces=True), features(), features(custom_fields=True)):
        for path in ("settings.features", single):
            refused = updating(dam, owner, parent, path, settings=lifting)
            assert (refused.code, refused.metadata["field"]) == (DENIED, single)
            assert refused.message.startswith(f"{single}: ")
            assert "name single features in update_mask, such as settings.features.custom_fields" in refused.message
    assert update(dam, owner, parent, single, settings=features(child_workspaces=False)).workspace.settings.features
    added = update(
        dam, owner, parent, "settings.features.custom_fields", settings=features(custom_fields=True)
    ).workspace
    assert dict(added.settings.features) == {"child_workspaces": False, "custom_fields": True}
    assert dam.reason(owner, parent, "workspace create_child") == "CHILD_WORKSPACES_NOT_ALLOWED"
    update(dam, owner, child, "settings.features", settings=features(child_workspaces=False))
    assert dam.reason(owner, child, "workspace create_child") == "CHILD_WORKSPACES_NOT_ALLOWED"


@pytest.mark.req("REQ-125")
def test_other_features_change_beside_a_restriction(dam: Tenants) -> None:
    owner = dam.user()
    workspace = create(dam, owner, name="North", settings=features(child_workspaces=False)).workspace.id
    both = features(child_workspaces=False, custom_fields=True)
    updated = update(dam, owner, workspace, "settings.features", settings=both).workspace
    assert dict(updated.settings.features) == {"child_workspaces": False, "custom_fields": True}


def test_updating_a_foreign_workspace_is_updating_none(dam: Tenants) -> None:
    workspace, stranger = dam.workspace(dam.user()).id, dam.user()
    foreign = updating(dam, stranger, workspace, name="Mine")
    assert foreign == updating(dam, stranger, "workspace_unknown", name="Mine")
    assert foreign.code == grpc.StatusCode.NOT_FOUND


# --- DeleteWorkspace --------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-039")
def test_a_workspace_goes_with_everything_below_it(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    grandchild = dam.child(owner, child).id
    member = dam.member(owner, grandchild)
    answer = dam.client(owner).workspaces.DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace_id=root))
    assert answer.deleted_workspaces == 3
    for gone in (root, child, grandchild):
        assert dam.reason(owner, gone) == "WORKSPACE_NOT_FOUND"
        assert getting(dam, OPERATOR, gone).code == grpc.StatusCode.NOT_FOUND
    request = pb.CheckFirstWorkspaceRequest()
    assert dam.client(member).workspaces.CheckFirstWorkspace(request).is_first_workspace
    assert dam.client(owner).workspaces.CheckFirstWorkspace(request).is_first_workspace
    assert not dam.client(owner).workspaces.ListUserWorkspaces(pb.ListUserWorkspacesRequest()).workspaces


def test_only_the_owner_deletes(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    request = pb.DeleteWorkspaceRequest(workspace_id=workspace)
    refused = refusal(dam.client(admin).workspaces.DeleteWorkspace, request)
    assert (refused.code, refused.reason) == (DENIED, "ROLE_INSUFFICIENT")
    assert dam.reason(admin, workspace) == ""


def test_a_deleted_workspace_is_not_deleted_again(dam: Tenants) -> None:
    owner = dam.user()
    request = pb.DeleteWorkspaceRequest(workspace_id=dam.workspace(owner).id)
    dam.client(owner).workspaces.DeleteWorkspace(request)
    refused = refusal(dam.client(owner).workspaces.DeleteWorkspace, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
