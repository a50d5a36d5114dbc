"""What one request may make a server do is bounded, and so is what an error says."""

import asyncio
import threading
import time

import grpc
import pytest

from tests.serving import BUNDLES, Serving, refusal
from wsauthz.model import errors
from wsauthz.rpc import lengths
from wsauthz.rpc.access import MOST_GUARDS
from wsauthz.settings import Settings, SettingsRefused
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import memberships_pb2, users_pb2, workspaces_pb2

HUGE = "x" * lengths.LONGEST


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: object) -> object:
    """Serve the dam bundle on an empty database."""
    del sqlite_template
    path = tmp_path_factory.mktemp("limits") / "wsauthz.db"
    with Serving(f"sqlite:///{path}", BUNDLES / "dam") as serving:
        yield serving


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownRole(HUGE, "workspace"),
        errors.UnknownModule(HUGE),
        errors.UnknownPermission(HUGE),
        errors.UnknownResource(HUGE),
        errors.UnknownAction(HUGE, HUGE),
        errors.UnknownGuard(HUGE),
        errors.SlugTaken(HUGE),
        errors.IdTaken("user", HUGE),
    ],
)
def test_an_error_repeats_only_the_beginning_of_what_was_sent(error: errors.Refused) -> None:
    """A thousand actions on one huge resource would else be answered with a thousand huge errors."""
    assert len(str(error)) < 300


def test_a_batch_about_a_huge_resource_has_a_small_answer(server: Serving) -> None:
    """It would be 200 megabytes."""
    item = pb.BatchCheckItem(subject="ann", workspace_id="w", resource=HUGE, actions=["read"] * 1_000)
    answer = server.client().authorization.BatchCheck(pb.BatchCheckRequest(items=[item]))
    assert answer.ByteSize() < 300_000


def test_a_huge_name_of_nothing_is_refused_with_an_error_that_arrives(server: Serving) -> None:
    """Trailers of that size would be thrown away by the client's transport."""
    client = server.client("ann")
    client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id="ann"))
    check = pb.CheckRequest(subject="ann", workspace_id="w", resource=HUGE, action="read")
    assert refusal(client.authorization.Check, check).reason == "UNKNOWN_RESOURCE"
    workspace = client.workspaces.CreateWorkspace(workspaces_pb2.CreateWorkspaceRequest(name="Acme")).workspace.id
    member = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id="ann")
    member.update_mask.paths.append(HUGE)
    assert refusal(client.memberships.UpdateMember, member).fields == ("update_mask",)


def test_a_route_has_a_limited_number_of_guards(server: Serving) -> None:
    """A message has room for 65,000, which stop the loop for a second and a half."""
    ask = server.client().authorization.CheckRoute
    guards = ["checkWorkspace"] * MOST_GUARDS
    assert ask(pb.CheckRouteRequest(subject="ann", workspace_id="w", guards=guards)).decision == pb.DECISION_DENY
    refused = refusal(ask, pb.CheckRouteRequest(subject="ann", workspace_id="w", guards=[*guards, "checkWorkspace"]))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("guards",))


def test_a_server_stops_without_waiting_for_calls_that_wait_for_its_loop(sqlite_url: str) -> None:
    """Work in the pool hops to the loop, which must not wait for the pool meanwhile."""
    with Serving(sqlite_url, BUNDLES / "dam") as serving:
        wrapper, replica = serving.server._wrapper, serving.server.replica
        late = threading.Event()

        async def cancelled() -> None:
            asyncio.get_running_loop().call_later(0.3, late.set)

        running = wrapper._workers._pool.submit(lambda: late.wait(5) and replica.loop.call(lambda: "hopped"))
        serving.run(cancelled())
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert running.result(0) == "hopped"


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0"])
def test_a_setting_that_is_no_duration_is_refused(seconds: str) -> None:
    """With nan the database is never polled, and no drain ends."""
    with pytest.raises(SettingsRefused, match="WSAUTHZ_POLL_SECONDS"):
        Settings.from_environment({"WSAUTHZ_POLL_SECONDS": seconds})
