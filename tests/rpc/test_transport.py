"""What a server does with calls that no application makes on purpose, and what it tells when something breaks."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy.engine import make_url

from tests.databases import LENDER
from tests.postgres import connect, execute
from tests.rpc.tenants import Tenants
from tests.serving import ACTOR, BUNDLES, Refusal, ServerProcess, Serving, attempt, refusal
from wsauthz.v1 import authorization_pb2, memberships_pb2, users_pb2, workspaces_pb2

pytestmark = pytest.mark.transports

CHECK = authorization_pb2.CheckRequest(subject="ann", workspace_id="w", resource="workspace", action="view")


# --- health and reflection --------------------------------------------------------------------------------------------


def test_health_is_told_of_the_server_and_of_every_service(sqlite_dam: Tenants) -> None:
    health: Any = health_pb2_grpc.HealthStub(sqlite_dam.server.channel)
    for service in ("", "wsauthz.v1.AuthorizationService", "wsauthz.v1.PolicyService", "wsauthz.v1.UserService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    refused = refusal(health.Check, health_pb2.HealthCheckRequest(service="wsauthz.v1.Nothing"), timeout=5)
    assert refused.code == grpc.StatusCode.NOT_FOUND


def reflected(server: Serving) -> set[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    answers = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5)
    return {service.name for answer in answers for service in answer.list_services_response.service}


def test_reflection_is_off(sqlite_dam: Tenants) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        reflected(sqlite_dam.server)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_reflection_is_there_when_asked_for(sqlite_url: str) -> None:
    with Serving(sqlite_url, BUNDLES / "dam", reflection=True) as server:
        assert {
            "wsauthz.v1.AuthorizationService",
            "wsauthz.v1.MembershipService",
            "grpc.health.v1.Health",
        } <= reflected(server)


def test_who_watches_health_is_told_that_the_server_stops(sqlite_url: str) -> None:
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    with Serving(sqlite_url, BUNDLES / "dam", drain_seconds=0.5) as server:
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        watched = health.Watch(health_pb2.HealthCheckRequest(service="wsauthz.v1.AuthorizationService"), timeout=20)
        assert next(watched).status == serving
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(server.run, server.server.stop())
            assert next(watched).status == not_serving
            with pytest.raises(grpc.RpcError) as ended:
                next(watched)
            assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
            stopping.result()


# --- too much ---------------------------------------------------------------------------------------------------------


def test_a_message_above_a_mebibyte_is_refused_and_others_are_served(sqlite_dam: Tenants) -> None:
    large = authorization_pb2.CheckRequest(subject="a" * ((1 << 20) + 1))
    refused = refusal(sqlite_dam.client().authorization.Check, large)
    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert sqlite_dam.client().authorization.Check(CHECK).denial.reason == "WORKSPACE_NOT_FOUND"


def test_metadata_above_its_limit_is_refused_and_others_are_served(sqlite_dam: Tenants) -> None:
    metadata = tuple((f"x-padding-{number}", "x" * 1_000) for number in range(40))
    refused = refusal(sqlite_dam.client().authorization.Check, CHECK, metadata=metadata)
    assert refused.code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    assert sqlite_dam.client().authorization.Check(CHECK).denial.reason == "WORKSPACE_NOT_FOUND"


def test_a_body_that_is_no_message_is_refused_without_a_word_of_the_inside(sqlite_dam: Tenants) -> None:
    call: Any = sqlite_dam.server.channel.unary_unary("/wsauthz.v1.AuthorizationService/Check")
    refused = refusal(call, b"\xff\xff\xff\xff", timeout=5)
    assert refused.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT}
    assert "Traceback" not in refused.message
    assert "wsauthz" not in refused.message


def test_a_method_that_does_not_exist(sqlite_dam: Tenants) -> None:
    call: Any = sqlite_dam.server.channel.unary_unary("/wsauthz.v1.AuthorizationService/Nothing")
    assert refusal(call, b"", timeout=5).code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud7ff", "\U0010ffff", "x\u202ey", "\r\n"])
def test_odd_text_in_a_name_is_stored_or_refused_but_never_breaks(dam: Tenants, text: str) -> None:
    owner = dam.user()
    request = workspaces_pb2.CreateWorkspaceRequest(name=f"North {text} South")
    made = attempt(dam.client(owner).workspaces.CreateWorkspace, request)
    if isinstance(made, Refusal):
        assert (made.code, made.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("name",))
    else:
        again = workspaces_pb2.GetWorkspaceRequest(workspace_id=made.workspace.id)
        assert dam.client(owner).workspaces.GetWorkspace(again).workspace.name == made.workspace.name


# --- something is broken ----------------------------------------------------------------------------------------------


def drop(url: str, table: str) -> None:
    """Take a table away from under a server."""
    if make_url(url).drivername.startswith("sqlite"):
        with closing(sqlite3.connect(str(make_url(url).database))) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
            connection.commit()
    else:
        execute(url, f"ALTER TABLE {table} RENAME TO {table}_gone")


@pytest.mark.parametrize("table", ["memberships", "users"])
def test_what_breaks_inside_is_told_by_an_incident_and_nothing_else(database_url: str, table: str) -> None:
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner, other = tenants.user(), tenants.user()
        workspace = tenants.workspace(owner).id
        drop(database_url, table)
        client = tenants.client(owner)
        requests: list[tuple[Callable[..., Any], Any]] = [
            (client.memberships.ListMembers, memberships_pb2.ListMembersRequest(workspace_id=workspace)),
            (client.users.GetUser, users_pb2.GetUserRequest(user_id=owner)),
            (client.users.UpsertUser, users_pb2.UpsertUserRequest(user_id=owner, name="Other")),
            (client.memberships.AddMember, memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=other)),
        ]
        for method, request in requests:
            found = attempt(method, request)
            if not isinstance(found, Refusal):
                continue
            assert found.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
            text = f"{found.message} {found.metadata}".lower()
            for secret in (table, "sql", "select", "relation", "psycopg", "no such", owner, workspace, "traceback"):
                assert secret not in text
            if found.code == grpc.StatusCode.INTERNAL:
                assert found.reason == "INTERNAL"
                assert found.metadata["incident"] in found.message
        assert refusal(*requests[0]).code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
        assert tenants.reason(owner, workspace, "dam:asset delete") == ""


def test_a_refused_write_leaves_nothing_half_done(database_url: str) -> None:
    """The table that a write needs last is gone: what it wrote before is gone, too."""
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner = tenants.user()
        before = tenants.revision
        drop(database_url, "audit_entries")
        refused = refusal(
            tenants.client(owner).workspaces.CreateWorkspace, workspaces_pb2.CreateWorkspaceRequest(name="Half")
        )
        assert refused.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
        assert tenants.revision == before
        request = workspaces_pb2.ListUserWorkspacesRequest()
        assert not tenants.client(owner).workspaces.ListUserWorkspaces(request).workspaces


# --- a process --------------------------------------------------------------------------------------------------------


def test_a_process_serves_until_it_is_asked_to_stop(sqlite_url: str) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam") as process:
        client = process.client("ann")
        client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id="ann"))
        made = client.workspaces.CreateWorkspace(workspaces_pb2.CreateWorkspaceRequest(name="North")).workspace
        assert process.terminate() == 0
        process.start()
        again = process.client("ann").workspaces.GetWorkspace(workspaces_pb2.GetWorkspaceRequest(workspace_id=made.id))
        assert again.workspace == made


def test_a_stopped_server_leaves_no_connection_open(postgresql_url: str) -> None:
    """A poll is nearly always under way when a server that polls all the time is stopped."""
    connections = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        f" AND application_name <> '{LENDER}'"
    )
    with connect(postgresql_url, autocommit=True) as looking:
        for _ in range(4):
            with Serving(postgresql_url, BUNDLES / "dam", poll_seconds=0.001) as server:
                assert server.server.replica.ready
            deadline = time.monotonic() + 5  # the processes of closed connections take a moment to end
            while looking.execute(connections).fetchone() != (0,):
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_an_actor_in_another_case_of_the_header_is_the_same_header(sqlite_dam: Tenants) -> None:
    request = users_pb2.GetUserRequest(user_id=sqlite_dam.user())
    call = sqlite_dam.client().users.GetUser
    assert refusal(call, request, metadata=((ACTOR, "ann"), (ACTOR, "bob"))).reason == "ACTOR_REPEATED"
