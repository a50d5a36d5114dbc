"""GetPublicProfile: what everybody may see of a workspace, where the catalog shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase, serving, sqlite_database
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import organizations_pb2, workspace_states_pb2
from wsauthz.v1 import workspaces_pb2 as pb

SOCIAL: dict[str, Any] = {
    f"social_{site}": f"https://{site}.example/hall" for site in ("x", "facebook", "linkedin", "instagram", "github")
}


@pytest.fixture(scope="module")
def shown(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server of a dam bundle that shows public profiles."""
    bundle = copy_bundle("dam", tmp_path_factory.mktemp("bundle"), catalog="\n[lookups]\npublic_profile = true\n")
    with serving(make_database(), str(bundle)) as tenants:
        yield tenants


def profile(tenants: Tenants, workspace: str, actor: str | None = None) -> pb.GetPublicProfileResponse:
    return tenants.client(actor).workspaces.GetPublicProfile(pb.GetPublicProfileRequest(workspace_id=workspace))


def missing(tenants: Tenants, workspace: str, actor: str | None = None) -> Refusal:
    request = pb.GetPublicProfileRequest(workspace_id=workspace)
    return refusal(tenants.client(actor).workspaces.GetPublicProfile, request)


@pytest.mark.req("REQ-004", "REQ-006", "REQ-011")
def test_everybody_sees_name_picture_and_links_and_nothing_else(shown: Tenants) -> None:
    owner = shown.user()
    workspace = shown.workspace(owner, "Concert Hall", image_url="https://x/hall.png", description="secret plans")
    request = pb.UpdateWorkspaceRequest(
        workspace_id=workspace.id, workspace=pb.Workspace(**SOCIAL, notes="more secrets")
    )
    request.update_mask.paths.extend([*SOCIAL, "notes"])
    shown.client(owner).workspaces.UpdateWorkspace(request)
    expected = pb.GetPublicProfileResponse(
        id=workspace.id, name="Concert Hall", image_url="https://x/hall.png", **SOCIAL
    )
    for actor in (None, owner, OPERATOR, shown.user()):
        assert profile(shown, workspace.id, actor) == expected


def test_nobody_sees_one_of_a_workspace_that_is_not_active(shown: Tenants) -> None:
    owner = shown.user()
    organization = shown.organization(owner).id
    root = shown.workspace(owner, organization_id=organization).id
    child = shown.child(owner, root).id
    unknown = missing(shown, "workspace_unknown")
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    states, organizations = workspace_states_pb2, organizations_pb2
    there_and_back = (
        (
            lambda: shown.operator.states.SuspendWorkspace(states.SuspendWorkspaceRequest(workspace_id=root)),
            lambda: shown.operator.states.ReinstateWorkspace(states.ReinstateWorkspaceRequest(workspace_id=root)),
        ),
        (
            lambda: shown.operator.states.DeactivateWorkspace(states.DeactivateWorkspaceRequest(workspace_id=root)),
            lambda: shown.operator.states.ActivateWorkspace(states.ActivateWorkspaceRequest(workspace_id=root)),
        ),
        (
            lambda: shown.operator.organizations.SuspendOrganization(
                organizations.SuspendOrganizationRequest(organization_id=organization)
            ),
            lambda: shown.operator.organizations.ReinstateOrganization(
                organizations.ReinstateOrganizationRequest(organization_id=organization)
            ),
        ),
    )
    for close, reopen in there_and_back:
        close()
        for workspace in (root, child):
            for actor in (None, owner, OPERATOR):
                assert missing(shown, workspace, actor) == unknown
        reopen()
        assert profile(shown, child).name == "East"
    shown.client(owner).workspaces.DeleteWorkspace(pb.DeleteWorkspaceRequest(workspace_id=root))
    assert missing(shown, child) == unknown


@pytest.mark.parametrize("bundle", ["eventpalour", "default", "dam", "oneglanse"])
def test_the_shipped_bundles_show_none(sqlite_template: Path, bundle: str) -> None:
    with serving(sqlite_database(sqlite_template), bundle) as tenants:
        workspace = tenants.workspace(tenants.user()).id
        assert missing(tenants, workspace, OPERATOR) == missing(tenants, "workspace_unknown")
