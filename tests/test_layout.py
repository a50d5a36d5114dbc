"""The repository is laid out as the design says, and every concern has its own module in each layer."""

import pytest
from sqlalchemy import inspect

from tests.serving import BUNDLES, ROOT, Serving
from wsauthz.rpc.methods import methods
from wsauthz.store.database import Database
from wsauthz.v1.users_pb2 import UpsertUserRequest
from wsauthz.v1.workspaces_pb2 import CreateWorkspaceRequest, GetWorkspaceRequest

TOP = ("proto", "src/wsauthz", "policies", "tests", "Makefile", "Dockerfile", "README.md", "CHANGELOG.md", "docs")


@pytest.mark.req("REQ-151")
@pytest.mark.parametrize("name", TOP)
def test_the_repository_has(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.req("REQ-070")
def test_creating_querying_members_settings_and_accounts_have_modules_of_their_own() -> None:
    tenancy = {path.stem for path in (ROOT / "src/wsauthz/tenancy").glob("*.py")}
    assert {"workspace_creation", "workspace_lists", "memberships", "settings", "accounts"} <= tenancy


@pytest.mark.req("REQ-070")
def test_every_method_has_typed_messages_of_its_own() -> None:
    for method in methods().values():
        assert method.request.DESCRIPTOR.name == f"{method.name}Request"
        assert method.answer.DESCRIPTOR.name == f"{method.name}Response"


@pytest.mark.req("REQ-146")
def test_what_is_created_is_kept_in_a_database_and_found_by_the_next_server(database_url: str) -> None:
    with Serving(database_url, BUNDLES / "dam") as server:
        server.client().users.UpsertUser(UpsertUserRequest(user_id="ann"))
        created = server.client("ann").workspaces.CreateWorkspace(CreateWorkspaceRequest(name="Acme")).workspace
    with Serving(database_url, BUNDLES / "dam") as server:
        found = server.client("ann").workspaces.GetWorkspace(GetWorkspaceRequest(workspace_id=created.id)).workspace
    assert found == created
    database = Database(database_url)
    with database.read() as connection:
        names = inspect(connection).get_table_names()
    database.close()
    assert {"workspaces", "memberships", "organizations", "users"} <= set(names)
