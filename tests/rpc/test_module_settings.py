import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value

from tests.rpc import tables
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, refusal
from wsauthz.v1 import settings_pb2 as pb
from wsauthz.v1 import workspaces_pb2
from wsauthz.v1.workspace_states_pb2 import SuspendWorkspaceRequest


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def update_of(workspace: str, values: dict[str, Any] | Struct, module: str = "dam") -> pb.UpdateModuleSettingsRequest:
    settings = values if isinstance(values, Struct) else struct(values)
    return pb.UpdateModuleSettingsRequest(workspace_id=workspace, module=module, settings=settings)


def update(tenants: Tenants, actor: str, workspace: str, values: dict[str, Any], module: str = "dam") -> Any:
    answer = tenants.client(actor).settings.UpdateModuleSettings(update_of(workspace, values, module))
    return MessageToDict(answer.settings)


def updating(tenants: Tenants, actor: str, workspace: str, values: Any, module: str = "dam") -> Refusal:
    request = update_of(workspace, values, module)
    return refusal(tenants.client(actor).settings.UpdateModuleSettings, request)


def answer_of(tenants: Tenants, actor: str, workspace: str, module: str = "dam") -> pb.GetModuleSettingsResponse:
    request = pb.GetModuleSettingsRequest(workspace_id=workspace, module=module)
    return tenants.client(actor).settings.GetModuleSettings(request)


def get(tenants: Tenants, actor: str, workspace: str, module: str = "dam") -> Any:
    return MessageToDict(answer_of(tenants, actor, workspace, module).settings)


def getting(tenants: Tenants, actor: str, workspace: str, module: str = "dam") -> Refusal:
    request = pb.GetModuleSettingsRequest(workspace_id=workspace, module=module)
    return refusal(tenants.client(actor).settings.GetModuleSettings, request)


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-072", "REQ-135")
def test_settings_are_kept_as_they_are_and_replaced_as_a_whole(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    nothing = answer_of(dam, owner, workspace)
    assert (MessageToDict(nothing.settings), nothing.HasField("updated_at")) == ({}, False)
    everything = {
        "text": "é \U0001f600 \n\t\"\\'",
        "": "an empty name",
        "number": 1.5,
        "whole": 9007199254740991,
        "huge": 1e300,
        "negative": -3,
        "yes": True,
        "no": False,
        "nothing": None,
        "list": [1, "two", [], {}, [None]],
        "nested": {"deep": {"fields": {}}},
    }
    assert update(dam, owner, workspace, everything) == everything
    first = answer_of(dam, owner, workspace)
    assert MessageToDict(first.settings) == everything
    assert update(dam, owner, workspace, {"text": "other"}) == {"text": "other"}
    second = answer_of(dam, owner, workspace)
    assert MessageToDict(second.settings) == {"text": "other"}
    assert second.updated_at.ToNanoseconds() > first.updated_at.ToNanoseconds()
    update(dam, owner, workspace, {})
    assert get(dam, owner, workspace) == {}


def test_every_module_of_every_workspace_has_its_own(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    update(dam, owner, root, {"of": "dam"})
    update(dam, owner, root, {"of": "analytics"}, "analytics")
    assert get(dam, owner, root) == {"of": "dam"}
    assert get(dam, owner, root, "analytics") == {"of": "analytics"}
    assert get(dam, owner, child) == get(dam, owner, root, "collaboration") == {}


def test_the_same_settings_again_write_nothing_but_true_is_not_one(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    revision = dam.revision
    update(dam, owner, workspace, {})
    assert dam.revision == revision
    assert not answer_of(dam, owner, workspace).HasField("updated_at")
    update(dam, owner, workspace, {"a": 1, "b": [2.0, None]})
    first, revision = answer_of(dam, owner, workspace), dam.revision
    update(dam, owner, workspace, {"b": [2, None], "a": 1.0})
    assert (answer_of(dam, owner, workspace), dam.revision) == (first, revision)
    update(dam, owner, workspace, {"a": True, "b": [2, None]})
    assert get(dam, owner, workspace) == {"a": True, "b": [2, None]}
    assert get(dam, owner, workspace)["a"] is True


def test_the_audit_names_the_module_and_nothing_of_its_settings(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    update(dam, owner, workspace, {"canary-name": "canary-value"})
    entry = tables.found(dam, f"SELECT * FROM audit_entries WHERE place_id = '{workspace}' ORDER BY number DESC")[0]
    assert (entry["target_kind"], entry["target_id"]) == ("module_settings", "dam")
    assert (tables.json_of(entry["before"]), tables.json_of(entry["after"])) == ({}, {})
    assert "canary" not in str(entry)
    assert "canary" not in str(tables.found(dam, "SELECT * FROM changes"))


def test_a_deleted_workspace_leaves_nothing_to_be_read(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    child = dam.child(owner, workspace).id
    update(dam, owner, workspace, {"a": 1})
    update(dam, owner, child, {"a": 1})
    dam.client(owner).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))
    unknown = getting(dam, owner, "workspace_unknown")
    for actor in (owner, OPERATOR):
        for gone in (workspace, child):
            assert getting(dam, actor, gone) == updating(dam, actor, gone, {}) == unknown
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-135")
def test_it_takes_the_right_and_the_module(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    update(dam, owner, workspace, {"a": 1})
    permitted = dam.member(owner, workspace, role="viewer", permissions=["can-manage-workspace"])
    assert update(dam, permitted, workspace, {"a": 2}) == get(dam, permitted, workspace) == {"a": 2}
    member = dam.member(owner, workspace)
    for refused in (getting(dam, member, workspace), updating(dam, member, workspace, {"a": 3})):
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    narrow = dam.member(owner, workspace, permissions=["can-manage-workspace"], modules=modules("analytics"))
    assert update(dam, narrow, workspace, {"a": 4}, "analytics") == get(dam, narrow, workspace, "analytics")
    for refused in (getting(dam, narrow, workspace), updating(dam, narrow, workspace, {"a": 5})):
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "MODULE_NOT_GRANTED")
    assert get(dam, owner, workspace) == {"a": 2}


@pytest.mark.req("REQ-135")
def test_the_module_of_another_role_than_the_one_that_allows_is_not_enough(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    admin = dam.member(owner, parent, role="admin", modules=modules("dam"))
    update(dam, admin, child, {"a": 1})
    dam.member(owner, child, user=admin, role="viewer")
    for refused in (getting(dam, admin, child, "analytics"), updating(dam, admin, child, {"a": 2}, "analytics")):
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "MODULE_NOT_GRANTED")
    assert get(dam, owner, child, "analytics") == {}
    assert update(dam, admin, child, {"a": 3}) == {"a": 3}


@pytest.mark.req("REQ-135")
def test_settings_of_a_module_that_is_not_enabled_wait_for_it(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    child = dam.child(owner, workspace).id
    update(dam, owner, child, {"a": 1})
    narrower = pb.SetModulesRequest(workspace_id=workspace, modules=["analytics"])
    dam.client(owner).settings.SetModules(narrower)
    for place in (workspace, child):
        for actor in (owner, OPERATOR):
            for refused in (getting(dam, actor, place), updating(dam, actor, place, {})):
                assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "MODULE_NOT_ENABLED")
    dam.client(owner).settings.SetModules(pb.SetModulesRequest(workspace_id=workspace, modules=["dam"]))
    assert get(dam, owner, child) == {"a": 1}


def test_a_suspended_workspace_is_set_up_by_the_platform_only(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    dam.operator.states.SuspendWorkspace(SuspendWorkspaceRequest(workspace_id=workspace))
    for refused in (getting(dam, owner, workspace), updating(dam, owner, workspace, {"a": 1})):
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WORKSPACE_SUSPENDED")
    assert update(dam, OPERATOR, workspace, {"a": 1}) == {"a": 1}


def test_settings_of_a_foreign_workspace_are_as_unknown_as_none(dam: Tenants) -> None:
    workspace, stranger = dam.workspace(dam.user()).id, dam.user()
    for module in ("dam", "warp"):
        assert getting(dam, stranger, workspace, module) == getting(dam, stranger, "workspace_unknown", module)
        foreign = updating(dam, stranger, workspace, {}, module)
        assert foreign == updating(dam, stranger, "workspace_unknown", {}, module)
        assert foreign.reason == "WORKSPACE_NOT_FOUND"


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["", "warp", "core", "Dam", "dam ", "x" * 1000, "a\x00b"])
def test_a_module_that_the_catalog_lacks(dam: Tenants, module: str) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    for refused in (getting(dam, owner, workspace, module), updating(dam, owner, workspace, {}, module)):
        assert (refused.code, refused.reason, refused.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "UNKNOWN_MODULE",
            ("module",),
        )


def nested(levels: int, wrap: Callable[[Any], Any]) -> dict[str, Any]:
    """Return settings of so many levels, themselves counted."""
    value: Any = 1
    for _ in range(levels - 1):
        value = wrap(value)
    return {"a": value}


def in_object(value: Any) -> Any:
    return {"a": value}


def in_list(value: Any) -> Any:
    return [value]


def sized(count: int) -> dict[str, Any]:
    """Return settings of so many bytes of JSON."""
    return {"é": "x" * (count - len('{"":""}') - 2)}


@pytest.mark.parametrize("values", [nested(32, in_object), nested(32, in_list), sized(1 << 16)])
def test_the_largest_settings_are_kept(dam: Tenants, values: dict[str, Any]) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    assert update(dam, owner, workspace, values) == get(dam, owner, workspace) == values


@pytest.mark.parametrize(
    "values",
    [
        nested(33, in_object),
        nested(33, in_list),
        nested(49, in_list),
        sized((1 << 16) + 1),
        {"a": [1] * 40_000},
        {"a": math.nan},
        {"a": [{"b": math.inf}]},
        {"a": -math.inf},
        {"a": "x\x00y"},
        {"x\x00y": 1},
        {"a": [{"b\x00": 1}]},
        Struct(fields={"a": Value()}),
    ],
    ids=lambda values: str(values)[:40],
)
def test_settings_that_cannot_be_kept_are_named_and_not_written(dam: Tenants, values: Any) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    revision = dam.revision
    refused = updating(dam, owner, workspace, values)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("settings",))
    assert (get(dam, owner, workspace), dam.revision) == ({}, revision)


def test_settings_deeper_than_any_message_are_no_request(dam: Tenants) -> None:
    owner = dam.user()
    request = pb.UpdateModuleSettingsRequest(workspace_id=dam.workspace(owner).id, module="dam")
    request.settings.update(nested(40, in_object))
    refused = refusal(dam.client(owner).settings.UpdateModuleSettings, request)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("request",))


def test_settings_that_are_missing_are_not_empty_ones(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    update(dam, owner, workspace, {"a": 1})
    request = pb.UpdateModuleSettingsRequest(workspace_id=workspace, module="dam")
    refused = refusal(dam.client(owner).settings.UpdateModuleSettings, request)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("settings",))
    assert get(dam, owner, workspace) == {"a": 1}
