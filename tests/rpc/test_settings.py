"""Modules and plans; subscriptions come with the state, because no RPC makes them yet."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tenants import OPERATOR, STATE, Tenants, modules
from tests.serving import Refusal, refusal
from wsauthz.v1 import settings_pb2 as pb
from wsauthz.v1 import workspaces_pb2

PLANS: dict[str, Any] = {
    **STATE,
    "users": [*STATE["users"], {"id": "olaf", "name": "Olaf", "email": "olaf@example.com"}],
    "workspaces": [
        {"id": "free", "owner": "olaf", "modules": ["dam"]},
        {"id": "free-child", "parent": "free", "owner": "olaf", "modules": ["dam"]},
        {"id": "wide", "owner": "olaf"},
        {"id": "wide-child", "parent": "wide", "owner": "olaf", "modules": ["dam"]},
        {"id": "paid", "owner": "olaf"},
        {"id": "paid-child", "parent": "paid", "owner": "olaf"},
        {"id": "lapsed", "owner": "olaf"},
    ],
    "subscriptions": [
        {"workspace": "free", "plan": "free"},
        {"workspace": "wide", "plan": "free"},
        {"workspace": "paid", "plan": "professional"},
        {"workspace": "lapsed", "plan": "professional", "status": "cancelled"},
    ],
}


@pytest.fixture(scope="module")
def dam(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the dam bundle with workspaces on plans."""
    with serving(make_database(), "dam", PLANS) as tenants:
        yield tenants


def set_modules(tenants: Tenants, actor: str, workspace: str, *names: str) -> list[str]:
    request = pb.SetModulesRequest(workspace_id=workspace, modules=names)
    return list(tenants.client(actor).settings.SetModules(request).workspace.modules)


def setting(tenants: Tenants, actor: str, workspace: str, *names: str) -> Refusal:
    request = pb.SetModulesRequest(workspace_id=workspace, modules=names)
    return refusal(tenants.client(actor).settings.SetModules, request)


def get(tenants: Tenants, workspace: str) -> workspaces_pb2.GetWorkspaceResponse:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request)


@pytest.mark.req("REQ-075", "REQ-090")
def test_the_list_given_is_the_list(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    assert set_modules(dam, owner, workspace, "analytics", "dam") == ["analytics", "dam"]
    assert dam.reason(owner, workspace, "collaboration:comment read") == "MODULE_NOT_ENABLED"
    assert set_modules(dam, owner, workspace) == []
    assert dam.reason(owner, workspace, "dam:asset read") == "MODULE_NOT_ENABLED"
    assert dam.reason(owner, workspace) == ""


def test_lists_of_children_are_not_rewritten(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    set_modules(dam, owner, root, "dam")
    assert list(get(dam, child).workspace.modules) == ["dam", "analytics", "collaboration"]
    assert list(get(dam, child).modules) == ["dam"]
    denial = dam.check(owner, child, "analytics:report read").denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("MODULE_NOT_ENABLED", root)
    set_modules(dam, owner, root, "dam", "analytics")
    assert dam.reason(owner, child, "analytics:report read") == ""


def test_a_module_the_catalog_lacks(dam: Tenants) -> None:
    owner = dam.user()
    refused = setting(dam, owner, dam.workspace(owner).id, "dam", "warp")
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_MODULE",
        ("modules",),
    )


def test_core_is_no_module_to_be_set(dam: Tenants) -> None:
    owner = dam.user()
    assert setting(dam, owner, dam.workspace(owner).id, "core").reason == "UNKNOWN_MODULE"


@pytest.mark.req("REQ-090")
def test_a_module_given_twice(dam: Tenants) -> None:
    owner = dam.user()
    refused = setting(dam, owner, dam.workspace(owner).id, "dam", "dam")
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("modules",))


def test_a_module_the_parent_lacks(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner, modules=modules("dam")).id
    refused = setting(dam, owner, dam.child(owner, root).id, "dam", "analytics")
    assert (refused.code, refused.reason, refused.violations) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODULE_NOT_IN_PARENT",
        ("MODULE_NOT_IN_PARENT",),
    )


@pytest.mark.parametrize("workspace", ["free", "wide-child"])
def test_a_module_the_plan_lacks(dam: Tenants, workspace: str) -> None:
    refused = setting(dam, "olaf", workspace, "dam", "analytics")
    assert (refused.code, refused.reason, refused.kind) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODULE_NOT_IN_PLAN",
        "ValidationError",
    )


def test_a_plan_without_a_list_limits_nothing(dam: Tenants) -> None:
    assert set_modules(dam, "olaf", "paid", "dam", "analytics", "collaboration") == [
        "dam",
        "analytics",
        "collaboration",
    ]


def test_members_do_not_set_modules_but_permitted_ones_do(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    refused = setting(dam, dam.member(owner, workspace), workspace, "dam")
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    permitted = dam.member(owner, workspace, role="viewer", permissions=["can-manage-workspace"])
    assert set_modules(dam, permitted, workspace, "dam") == ["dam"]


def test_the_same_list_again_changes_no_revision(dam: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    set_modules(dam, OPERATOR, workspace, "dam")
    before = dam.revision
    set_modules(dam, OPERATOR, workspace, "dam")
    assert dam.revision == before


def test_a_foreign_workspace_is_as_unknown_as_none(dam: Tenants) -> None:
    workspace, stranger = dam.workspace(dam.user()).id, dam.user()
    foreign = setting(dam, stranger, workspace, "dam")
    assert foreign == setting(dam, stranger, "workspace_unknown", "dam")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")


# --- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-081", "REQ-088")
def test_a_workspace_shows_the_plan_that_counts(dam: Tenants) -> None:
    shown = {name: get(dam, name) for name in ("free", "paid", "paid-child", "lapsed")}
    assert {name: (found.plan, found.plan_type) for name, found in shown.items()} == {
        "free": ("free", "free"),
        "paid": ("professional", "paid"),
        "paid-child": ("professional", "paid"),
        "lapsed": ("professional", "paid"),
    }
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id="paid-child")
    assert dam.client("olaf").workspaces.GetWorkspace(request).can_customize_branding
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id="free")
    assert not dam.client("olaf").workspaces.GetWorkspace(request).can_customize_branding


@pytest.mark.req("REQ-077")
def test_a_switcher_shows_the_plan(dam: Tenants) -> None:
    request = workspaces_pb2.ListUserWorkspacesRequest()
    items = dam.client("olaf").workspaces.ListUserWorkspaces(request).workspaces
    plans = {item.id: item.plan for item in items}
    assert (plans["free-child"], plans["paid"]) == ("free", "professional")


def brand(workspace: str, logo: str, color: str) -> workspaces_pb2.UpdateWorkspaceRequest:
    branding = workspaces_pb2.Branding(logo=logo, primary_color=color)
    request = workspaces_pb2.UpdateWorkspaceRequest(
        workspace_id=workspace,
        workspace=workspaces_pb2.Workspace(settings=workspaces_pb2.WorkspaceSettings(branding=branding)),
    )
    request.update_mask.paths.append("settings.branding")
    return request


@pytest.mark.req("REQ-081", "REQ-091")
def test_a_plan_with_branding_lets_it_be_customized(dam: Tenants) -> None:
    update = dam.client("olaf").workspaces.UpdateWorkspace
    branding = update(brand("paid", "https://x/logo.png", "#00AAff")).workspace.settings.branding
    assert (branding.logo, branding.primary_color) == ("https://x/logo.png", "#00AAff")
    assert update(brand("paid", "", "")).workspace.settings.branding == workspaces_pb2.Branding()
    refused = refusal(update, brand("free", "https://x/logo.png", "#00AAff"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PLAN_FEATURE_MISSING")


@pytest.mark.req("REQ-091")
@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#GGGGGG", "123456"])
def test_a_colour_is_six_hexadecimal_digits(dam: Tenants, color: str) -> None:
    refused = refusal(dam.client("olaf").workspaces.UpdateWorkspace, brand("paid", "", color))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields[0].endswith("primary_color")


@pytest.mark.req("REQ-131")
def test_a_lapsed_subscription_denies_nothing_and_warns(dam: Tenants) -> None:
    answer = dam.check("olaf", "lapsed", "dam:brand edit")
    assert (answer.denial.reason, list(answer.warnings)) == ("", ["SUBSCRIPTION_EXPIRED"])
