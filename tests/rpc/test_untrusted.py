"""What a server answers while it cannot trust what it holds in memory: nothing, and never that something is allowed."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, CALL_SECONDS, Serving, refusal
from wsauthz.rpc.methods import methods
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import users_pb2, watch_pb2, workspaces_pb2


def decisions(tenants: Tenants, subject: str, workspace: str) -> dict[str, tuple[Callable[..., Any], Any]]:
    """Return every method that decides with a question whose answer would be that it is allowed."""
    stub = tenants.client(subject).authorization
    asked: dict[str, Any] = {"subject": subject, "workspace_id": workspace}
    action: dict[str, Any] = {"resource": "dam:asset", "action": "read"}
    item = pb.BatchCheckItem(**asked, resource="dam:asset", actions=["read"])
    return {
        "Check": (stub.Check, pb.CheckRequest(**asked, **action)),
        "BatchCheck": (stub.BatchCheck, pb.BatchCheckRequest(items=[item])),
        "CheckRoute": (stub.CheckRoute, pb.CheckRouteRequest(**asked, required_module="dam")),
        "GetAccess": (stub.GetAccess, pb.GetAccessRequest(**asked)),
        "Explain": (stub.Explain, pb.ExplainRequest(check=pb.CheckRequest(**asked, **action))),
        "LookupWorkspaces": (stub.LookupWorkspaces, pb.LookupWorkspacesRequest(subject=subject, **action)),
        "LookupSubjects": (stub.LookupSubjects, pb.LookupSubjectsRequest(workspace_id=workspace, **action)),
        "Watch": (lambda request: next(stub.Watch(request, timeout=CALL_SECONDS)), watch_pb2.WatchRequest()),
    }


@pytest.mark.req("REQ-113")
def test_a_server_that_cannot_trust_its_facts_answers_unavailable_until_it_has_loaded_them(database_url: str) -> None:
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        asked = decisions(tenants, owner, workspace)
        assert set(asked) == {method.name for method in methods().values() if method.service == "AuthorizationService"}
        before: dict[str, Any] = {name: method(request) for name, (method, request) in asked.items()}
        assert before["Check"].decision == before["CheckRoute"].decision == pb.DECISION_ALLOW

        server.run(server.server._follower.stop())  # it would load them anew at once
        replica = server.server.replica

        def fail(kind: str, values: Any) -> None:
            raise KeyError(kind, values)

        replica.facts.apply = fail  # type: ignore[method-assign]
        create = tenants.client(owner).workspaces.CreateWorkspace
        half = refusal(create, workspaces_pb2.CreateWorkspaceRequest(name="Committed"))
        assert half.code == grpc.StatusCode.INTERNAL

        list_mine = tenants.client(owner).workspaces.ListUserWorkspaces
        others: list[tuple[Callable[..., Any], Any]] = [
            (list_mine, workspaces_pb2.ListUserWorkspacesRequest()),
            (create, workspaces_pb2.CreateWorkspaceRequest(name="Refused")),
            (tenants.client().users.UpsertUser, users_pb2.UpsertUserRequest(user_id="zoe")),
        ]
        for method, request in (*asked.values(), *others):
            refused = refusal(method, request)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert workspace not in refused.message

        replica.catch_up()  # what the next poll does
        after: dict[str, Any] = {name: method(request) for name, (method, request) in asked.items()}
        assert after["Check"].decision == after["CheckRoute"].decision == pb.DECISION_ALLOW
        assert after["LookupSubjects"].user_ids == before["LookupSubjects"].user_ids
        listed = list_mine(workspaces_pb2.ListUserWorkspacesRequest()).workspaces
        assert {each.name for each in listed} == {"North", "Committed"}
