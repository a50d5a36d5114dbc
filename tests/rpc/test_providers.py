"""Which providers run for a workspace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import Refusal, Serving, refusal
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import policy_pb2, users_pb2, workspace_states_pb2, workspaces_pb2
from wsauthz.v1 import settings_pb2 as pb

ALL = ["chatgpt", "claude", "perplexity", "gemini", "ai-overview"]
"""What the bundle oneglanse offers, in its order."""


@pytest.fixture
def workspace(oneglanse: Tenants) -> tuple[str, str]:
    """Return a new owner and its new workspace."""
    owner = oneglanse.user()
    return owner, oneglanse.workspace(owner).id


def get(tenants: Tenants, actor: str, workspace: str) -> pb.GetProvidersResponse:
    return tenants.client(actor).settings.GetProviders(pb.GetProvidersRequest(workspace_id=workspace))


def set_providers(tenants: Tenants, actor: str, workspace: str, *names: str, **fields: Any) -> list[str]:
    request = pb.SetProvidersRequest(workspace_id=workspace, providers=names, **fields)
    return list(tenants.client(actor).settings.SetProviders(request).enabled_providers)


def setting(tenants: Tenants, actor: str, workspace: str, *names: str) -> Refusal:
    request = pb.SetProvidersRequest(workspace_id=workspace, providers=names)
    return refusal(tenants.client(actor).settings.SetProviders, request)


@pytest.mark.req("REQ-041", "REQ-061")
def test_a_new_workspace_has_every_provider(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    created = oneglanse.workspace(owner)
    found = get(oneglanse, owner, created.id)
    assert list(found.enabled_providers) == ALL
    assert [each.name for each in found.available_providers] == ALL
    assert found.available_providers[4].title == "AI Overview"
    assert list(created.enabled_providers.providers) == ALL
    assert not created.HasField("schedule")
    assert "deleted_at" not in created.DESCRIPTOR.fields_by_name


@pytest.mark.req("REQ-041", "REQ-061")
def test_every_answer_with_a_workspace_shows_the_providers_that_run_there(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    client, made = oneglanse.client(owner), oneglanse.workspace(owner)
    place: dict[str, Any] = {"workspace_id": made.id}
    child = oneglanse.child(OPERATOR, made.id)
    renamed = workspaces_pb2.UpdateWorkspaceRequest(**place, update_mask=FieldMask(paths=["notes"]))
    states, switch = workspace_states_pb2, users_pb2.SwitchWorkspaceRequest(**place)
    shown = [
        made,
        child,
        client.workspaces.UpdateWorkspace(renamed).workspace,
        client.workspaces.GetWorkspace(workspaces_pb2.GetWorkspaceRequest(**place)).workspace,
        client.users.SwitchWorkspace(switch).workspace.workspace,
        client.settings.SetModules(pb.SetModulesRequest(**place, modules=made.modules)).workspace,
        client.states.DeactivateWorkspace(states.DeactivateWorkspaceRequest(**place)).workspace,
        client.states.ActivateWorkspace(states.ActivateWorkspaceRequest(**place)).workspace,
        oneglanse.operator.states.SuspendWorkspace(states.SuspendWorkspaceRequest(**place)).workspace,
        oneglanse.operator.states.ReinstateWorkspace(states.ReinstateWorkspaceRequest(**place)).workspace,
    ]
    assert [list(each.enabled_providers.providers) for each in shown] == [ALL] * len(shown)


@pytest.mark.req("REQ-061")
def test_the_list_given_is_the_list_in_its_order(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    owner, workspace_id = workspace
    assert set_providers(oneglanse, owner, workspace_id, "gemini", "chatgpt") == ["gemini", "chatgpt"]
    assert list(get(oneglanse, owner, workspace_id).enabled_providers) == ["gemini", "chatgpt"]
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace_id)
    shown = oneglanse.client(owner).workspaces.GetWorkspace(request).workspace
    assert list(shown.enabled_providers.providers) == ["gemini", "chatgpt"]


@pytest.mark.req("REQ-061")
def test_at_least_one_provider_must_be_enabled(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    refused = setting(oneglanse, *workspace)
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "NO_PROVIDER",
        ("providers",),
    )


@pytest.mark.req("REQ-061")
@pytest.mark.parametrize("name", ["bing", "", "Claude", "claude ", "x" * 10_000, "cla\0ude"])
def test_a_provider_the_catalog_lacks(oneglanse: Tenants, workspace: tuple[str, str], name: str) -> None:
    refused = setting(oneglanse, *workspace, "claude", name)
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_PROVIDER",
        ("providers",),
    )
    assert list(get(oneglanse, *workspace).enabled_providers) == ALL


def test_a_provider_given_twice(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    refused = setting(oneglanse, *workspace, "claude", "gemini", "claude")
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        ("providers",),
    )


def test_the_same_list_again_changes_no_revision_and_another_order_does(
    oneglanse: Tenants, workspace: tuple[str, str]
) -> None:
    set_providers(oneglanse, *workspace, "claude", "gemini")
    before = oneglanse.revision
    set_providers(oneglanse, *workspace, "claude", "gemini")
    assert oneglanse.revision == before
    set_providers(oneglanse, *workspace, "gemini", "claude")
    assert oneglanse.revision != before


def test_a_request_repeated_by_its_id_is_answered_as_the_first_time(
    oneglanse: Tenants, workspace: tuple[str, str]
) -> None:
    set_providers(oneglanse, *workspace, "claude", request_id="r-1")
    set_providers(oneglanse, *workspace, "gemini")
    assert set_providers(oneglanse, *workspace, "claude", request_id="r-1") == ["claude"]
    assert list(get(oneglanse, *workspace).enabled_providers) == ["gemini"]


@pytest.mark.req("REQ-061")
def test_members_look_and_permitted_ones_set(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    owner, workspace_id = workspace
    member = oneglanse.member(owner, workspace_id)
    assert list(get(oneglanse, member, workspace_id).enabled_providers) == ALL
    refused = setting(oneglanse, member, workspace_id, "claude")
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    permitted = oneglanse.member(owner, workspace_id, permissions=["can-configure-runs"])
    assert set_providers(oneglanse, permitted, workspace_id, "claude") == ["claude"]


def test_a_foreign_workspace_is_as_unknown_as_none(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    stranger = oneglanse.user()
    foreign = setting(oneglanse, stranger, workspace[1], "claude")
    assert foreign == setting(oneglanse, stranger, "workspace_unknown", "claude")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    look = oneglanse.client(stranger).settings.GetProviders
    assert refusal(look, pb.GetProvidersRequest(workspace_id=workspace[1])) == foreign


# --- other catalogs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def changeable(make_database: MakeDatabase, tmp_path: Path) -> Iterator[tuple[Tenants, Path]]:
    """Return a server of a copy of the bundle oneglanse, and the directory of the copy."""
    directory = copy_bundle("oneglanse", tmp_path, tests=False)
    with make_database() as url:
        fill(url, state_of(STATE), read_bundle(directory, core_vocabulary()).catalog)
        with Serving(url, directory) as server:
            yield Tenants(server), directory


def edit_catalog(tenants: Tenants, directory: Path, old: str, new: str) -> None:
    path = directory / "catalog.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    reloaded = tenants.operator.policy.ReloadPolicy(policy_pb2.ReloadPolicyRequest())
    assert list(reloaded.problems) == []


@pytest.mark.req("REQ-061")
def test_a_provider_that_the_catalog_no_longer_has_does_not_run(changeable: tuple[Tenants, Path]) -> None:
    tenants, directory = changeable
    owner = tenants.user()
    chosen, untouched = tenants.workspace(owner).id, tenants.workspace(owner).id
    set_providers(tenants, owner, chosen, "gemini", "claude")
    edit_catalog(tenants, directory, 'gemini = "Gemini"\n', "")
    left = [name for name in ALL if name != "gemini"]
    assert list(get(tenants, owner, chosen).enabled_providers) == ["claude"]
    assert [each.name for each in get(tenants, owner, chosen).available_providers] == left
    assert list(get(tenants, owner, untouched).enabled_providers) == left
    assert setting(tenants, owner, chosen, "gemini").reason == "UNKNOWN_PROVIDER"


@pytest.mark.req("REQ-061")
def test_a_catalog_without_providers_offers_none(changeable: tuple[Tenants, Path]) -> None:
    tenants, directory = changeable
    workspace = tenants.workspace(tenants.user()).id
    set_providers(tenants, OPERATOR, workspace, "claude")
    table = (directory / "catalog.toml").read_text().partition("[providers]")[2].partition("[")[0]
    edit_catalog(tenants, directory, f"[providers]{table}", "")
    assert get(tenants, OPERATOR, workspace) == pb.GetProvidersResponse()
    refused = setting(tenants, OPERATOR, workspace, "claude")
    assert (refused.code, refused.reason, refused.violations) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROVIDERS_NOT_OFFERED",
        ("PROVIDERS_NOT_OFFERED",),
    )
    assert setting(tenants, OPERATOR, workspace).reason == "NO_PROVIDER"
