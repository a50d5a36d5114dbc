"""In every shipped bundle: what an operator switches off is off at once, and exactly that comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import Tenants
from wsauthz.v1 import organizations_pb2, settings_pb2, users_pb2, workspace_states_pb2

CONTENT = {
    "dam": ("dam:asset read", "dam"),
    "default": ("dam:asset read", "dam"),
    "eventpalour": ("ticketing:ticket view", "ticketing"),
    "oneglanse": ("analysis:report read", "analysis"),
}


@pytest.fixture(scope="module", params=sorted(CONTENT))
def bundle(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tenants(bundle: str, sqlite_template: Path) -> Iterator[Tenants]:
    with serving(sqlite_database(sqlite_template), bundle) as found:
        yield found


@pytest.fixture
def place(tenants: Tenants) -> tuple[str, str, str, str]:
    """Return an owner, its organization, a root workspace there, and a child, which an operator may make anywhere."""
    owner = tenants.user()
    organization = tenants.organization(owner).id
    root = tenants.workspace(owner, organization_id=organization).id
    return owner, organization, root, tenants.child("root", root).id


@pytest.mark.req("REQ-074", "REQ-147")
def test_suspension_comes_and_goes(tenants: Tenants, bundle: str, place: tuple[str, str, str, str]) -> None:
    owner, organization, root, child = place
    question, _ = CONTENT[bundle]
    assert tenants.reason(owner, child, question) == ""
    states, organizations = tenants.operator.states, tenants.operator.organizations
    organizations.SuspendOrganization(organizations_pb2.SuspendOrganizationRequest(organization_id=organization))
    states.SuspendWorkspace(workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=root))
    denial = tenants.check(owner, child, question).denial
    assert (denial.reason, denial.http_status) == ("WORKSPACE_SUSPENDED", 403)
    assert denial.remedy.message
    organizations.ReinstateOrganization(organizations_pb2.ReinstateOrganizationRequest(organization_id=organization))
    denial = tenants.check(owner, child, question).denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("WORKSPACE_SUSPENDED", root)
    states.ReinstateWorkspace(workspace_states_pb2.ReinstateWorkspaceRequest(workspace_id=root))
    assert tenants.reason(owner, child, question) == ""


@pytest.mark.req("REQ-089")
def test_inactivity_comes_and_goes(tenants: Tenants, bundle: str, place: tuple[str, str, str, str]) -> None:
    owner, _, root, child = place
    question, _ = CONTENT[bundle]
    states = tenants.client(owner).states
    states.DeactivateWorkspace(workspace_states_pb2.DeactivateWorkspaceRequest(workspace_id=root))
    denial = tenants.check(owner, child, question).denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("WORKSPACE_INACTIVE", root)
    states.ActivateWorkspace(workspace_states_pb2.ActivateWorkspaceRequest(workspace_id=root))
    assert tenants.reason(owner, child, question) == ""


@pytest.mark.req("REQ-075")
def test_a_module_comes_and_goes(tenants: Tenants, bundle: str, place: tuple[str, str, str, str]) -> None:
    owner, _, root, child = place
    question, module = CONTENT[bundle]
    settings = tenants.client(owner).settings
    settings.SetModules(settings_pb2.SetModulesRequest(workspace_id=root))
    denial = tenants.check(owner, child, question).denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("MODULE_NOT_ENABLED", root)
    assert denial.remedy.module == module
    settings.SetModules(settings_pb2.SetModulesRequest(workspace_id=root, modules=[module]))
    assert tenants.reason(owner, child, question) == ""


def test_a_deactivated_user_comes_back(tenants: Tenants, bundle: str, place: tuple[str, str, str, str]) -> None:
    owner, _, root, child = place
    question, _ = CONTENT[bundle]
    upsert = tenants.client().users.UpsertUser
    upsert(users_pb2.UpsertUserRequest(user_id=owner, is_active=False))
    assert {tenants.reason(owner, workspace, question) for workspace in (root, child)} == {"USER_INACTIVE"}
    upsert(users_pb2.UpsertUserRequest(user_id=owner, is_active=True))
    assert tenants.reason(owner, child, question) == ""
