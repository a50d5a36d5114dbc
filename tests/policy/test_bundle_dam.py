"""The bundle dam: roles, permissions, plans and the route guards of its frontend."""

import pytest

from tests.policy.bundle_world import ALLOW, LET_IN, Answer, World

ASSETS = """
workspaces:
  - {id: w, owner: ann, modules: [dam, analytics]}
  - {id: child, parent: w, owner: cleo}
  - {id: forbidden, owner: ann, settings: {features: {child_workspaces: false}}}
  - {id: off, owner: ann, is_active: false}
  - {id: suspended, owner: ann, is_suspended: true}
memberships:
  - {workspace: w, user: ann, role: viewer}
  - {workspace: w, user: ada, role: admin}
  - {workspace: w, user: pam, role: viewer, permissions: [can-manage-workspace]}
  - {workspace: w, user: sam, role: viewer, permissions: [can-manage-users]}
  - {workspace: w, user: mia, role: member, modules: [dam]}
  - {workspace: w, user: idle, role: admin, permissions: [can-manage-users], is_active: false}
  - {workspace: forbidden, user: mia, role: member}
subscriptions: [{workspace: w, plan: professional, status: cancelled}, {workspace: suspended, plan: free}]
"""


FORBIDDEN = Answer(403, "Permission denied", "")


@pytest.fixture(scope="module")
def assets() -> World:
    return World("dam", ASSETS)


@pytest.mark.req("REQ-095", "REQ-096")
def test_the_roles_and_permissions_of_assets(assets: World) -> None:
    catalog = assets.bundle.catalog
    roles = {role.name for role in catalog.roles.values() if role.assignable and "workspace" in role.places}
    assert roles == {"admin", "member", "viewer"}
    assert set(catalog.permissions) == {"can-manage-workspace", "can-manage-users"}
    assert set(catalog.modules) == {"dam", "analytics", "collaboration"}


@pytest.mark.req("REQ-106", "REQ-107")
def test_the_owner_admins_and_holders_of_the_permission_manage_the_workspace(assets: World) -> None:
    for subject in ("ann", "ada", "pam"):
        assert assets.ask(subject, "w", "workspace update") == ALLOW
    for subject in ("sam", "mia"):
        assert assets.ask(subject, "w", "workspace update") == "ROLE_INSUFFICIENT"


@pytest.mark.req("REQ-096")
def test_the_permission_to_manage_users_is_about_members_only(assets: World) -> None:
    questions = ["member add", "member remove", "invitation create", "invite_code rotate", "workspace update"]
    assert assets.allowed("sam", "w", *questions) == questions[:4]
    assert not assets.allowed("pam", "w", *questions[:4])


@pytest.mark.req("REQ-097")
def test_a_deactivated_membership_grants_nothing(assets: World) -> None:
    assert assets.ask("idle", "w", "workspace view") == "MEMBERSHIP_INACTIVE"
    assert assets.ask("idle", "w", "member add") == "MEMBERSHIP_INACTIVE"


@pytest.mark.req("REQ-073")
def test_an_admin_of_the_parent_is_one_of_the_child_and_a_member_is_nothing_there(assets: World) -> None:
    assert assets.ask("ada", "child", "workspace update") == ALLOW
    assert assets.ask("mia", "child", "workspace view") == "NOT_A_MEMBER"
    assert assets.ask("pam", "child", "workspace update") == "NOT_A_MEMBER"


@pytest.mark.req("REQ-081")
def test_branding_depends_on_the_plan(assets: World) -> None:
    assert assets.ask("ada", "w", "workspace customize_branding") == ALLOW
    assert assets.ask("ann", "forbidden", "workspace customize_branding") == "PLAN_FEATURE_MISSING"


@pytest.mark.req("REQ-131")
def test_a_cancelled_subscription_denies_nothing(assets: World) -> None:
    assert assets.ask("mia", "w", "dam:asset read") == ALLOW


@pytest.mark.req("REQ-130")
def test_members_see_the_subscription_and_admins_also_while_the_workspace_is_suspended(assets: World) -> None:
    assert assets.ask("mia", "w", "subscription view") == ALLOW
    assert assets.ask("ann", "suspended", "subscription view") == ALLOW
    assert assets.ask("ann", "suspended", "dam:asset read") == "WORKSPACE_SUSPENDED"


@pytest.mark.req("REQ-108", "REQ-109", "REQ-110", "REQ-111", "REQ-122", "REQ-127")
def test_the_guard_of_every_page(assets: World) -> None:
    assert assets.route("ann", "", "checkWorkspace") == Answer(302, "", "/")
    assert assets.route("ann", "unknown", "checkWorkspace") == Answer(404, "Workspace not found", "")
    assert assets.route("ann", "off", "checkWorkspace") == Answer(302, "", "/workspace-inactive")
    assert assets.route("eve", "w", "checkWorkspace") == FORBIDDEN
    assert assets.route("idle", "w", "checkWorkspace") == FORBIDDEN
    assert assets.route("mia", "w", "checkWorkspace") == LET_IN


@pytest.mark.req("REQ-114", "REQ-115", "REQ-116", "REQ-117")
def test_the_guard_of_modules(assets: World) -> None:
    settings = Answer(302, "", "/{id}/workspace-settings")
    assert assets.route("mia", "unknown", "check-workspace-modules", module="dam") == settings
    assert assets.route("ann", "w", "check-workspace-modules", module="collaboration") == settings
    assert assets.route("mia", "w", "check-workspace-modules", module="analytics") == settings
    assert assets.route("eve", "w", "check-workspace-modules", module="dam") == settings
    assert assets.route("mia", "w", "check-workspace-modules", module="dam") == LET_IN


@pytest.mark.req("REQ-114")
def test_the_guard_of_modules_has_nothing_to_say_where_none_is_required(assets: World) -> None:
    assert assets.route("ann", "w", "check-workspace-modules") == LET_IN
    assert assets.route("eve", "w", "check-workspace-modules") == FORBIDDEN  # by the page itself


@pytest.mark.req("REQ-115")
def test_the_guard_of_modules_without_a_workspace_leads_to_the_start_page(assets: World) -> None:
    assert assets.route("ann", "", "check-workspace-modules", module="dam") == Answer(302, "", "/")


@pytest.mark.req("REQ-118", "REQ-119")
def test_the_guard_of_suspension(assets: World) -> None:
    assert assets.route("ann", "unknown", "check-if-suspended") == Answer(302, "", "/")
    assert assets.route("ann", "suspended", "check-if-suspended") == Answer(302, "", "/{id}/workspace-suspended")
    assert assets.route("ann", "w", "check-if-suspended") == LET_IN


@pytest.mark.req("REQ-120", "REQ-144")
def test_the_guards_run_in_their_order(assets: World) -> None:
    assert assets.route("eve", "suspended", module="warp").status == 403
    assert assets.route("ann", "suspended", module="warp").redirect == "/{id}/workspace-settings"
    assert assets.route("ann", "suspended").redirect == "/{id}/workspace-suspended"
    assert assets.route("mia", "w", module="dam") == LET_IN


@pytest.mark.req("REQ-121", "REQ-122", "REQ-123", "REQ-124", "REQ-125", "REQ-140")
def test_the_guard_of_the_page_that_creates_a_child(assets: World) -> None:
    guard = "can-create-childWorkspace"
    for missing in ("unknown", "no id", ""):
        assert assets.route("ann", missing, guard) == Answer(404, "Workspace not found", "")
    for subject in ("mia", "pam", "sam", "eve", "idle"):
        assert assets.route(subject, "w", guard) == FORBIDDEN
    for subject in ("ann", "ada"):
        assert assets.route(subject, "w", guard) == LET_IN
    assert assets.route("mia", "forbidden", guard) == FORBIDDEN
    assert assets.route("ann", "forbidden", guard) == Answer(403, "Child workspaces not allowed", "")


@pytest.mark.req("REQ-126")
def test_the_guard_of_a_child(assets: World) -> None:
    guard = "can-access-child-workspace"
    for missing in ("unknown", "no id", ""):
        assert assets.route("ann", missing, guard, parent="w") == Answer(404, "Workspace not found", "")
    assert assets.route("cleo", "child", guard, parent="w") == LET_IN
    assert assets.route("ada", "child", guard, parent="w") == LET_IN
    assert assets.route("mia", "child", guard, parent="w") == FORBIDDEN
    assert assets.route("cleo", "child", guard, parent="off") == Answer(404, "Workspace not found", "")
    assert assets.route("ann", "suspended", guard) == Answer(302, "", "/{id}/workspace-suspended")
    assert assets.route("ann", "off", guard) == Answer(302, "", "/workspace-inactive")
