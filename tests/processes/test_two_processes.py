"""Two server processes on one database are correct from the first day (reliability.md section 1)."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.rpc.conftest import database_for
from tests.serving import BUNDLES, Client, ServerProcess, refusal
from wsauthz.v1 import authorization_pb2 as authorization
from wsauthz.v1 import memberships_pb2 as memberships
from wsauthz.v1 import users_pb2 as users
from wsauthz.v1 import workspaces_pb2 as workspaces

PATIENCE_SECONDS = 5.0
NEVER = "3600"


@dataclass(frozen=True, slots=True)
class Processes:
    """Servers of one database."""

    database_url: str
    a: ServerProcess
    b: ServerProcess


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    """Return what serves one database, of each kind."""
    with database_for(request, request.param) as url, ExitStack() as stack:
        with ThreadPoolExecutor(2) as pool:
            a, b = pool.map(stack.enter_context, [ServerProcess(url, BUNDLES / "dam") for _ in range(2)])
        yield Processes(database_url=url, a=a, b=b)


def workspace_of(client: Client) -> str:
    """Create the actor and a workspace of its own, and return the id."""
    assert client.actor is not None
    client.users.UpsertUser(users.UpsertUserRequest(user_id=client.actor))
    return str(client.workspaces.CreateWorkspace(workspaces.CreateWorkspaceRequest(name="North")).workspace.id)


def allows(client: Client, workspace_id: str, user: str) -> bool:
    """Ask whether the user may view the workspace."""
    question = authorization.CheckRequest(subject=user, workspace_id=workspace_id, resource="workspace", action="view")
    return bool(client.authorization.Check(question).decision == authorization.DECISION_ALLOW)


def seconds_until(client: Client, workspace_id: str, user: str, *, allowed: bool) -> float:
    """Ask again and again until the answer is as wanted, and return how long that took."""
    began = time.monotonic()
    while allows(client, workspace_id, user) != allowed:
        assert time.monotonic() - began < PATIENCE_SECONDS, f"{user} is still not {allowed=}"
        time.sleep(0.005)
    return time.monotonic() - began


def grant_and_revoke(a: Client, b: Client, workspace_id: str, user: str) -> tuple[float, float]:
    """Grant and revoke through one process; return when the other saw each."""
    a.mirror(user)
    a.memberships.AddMember(memberships.AddMemberRequest(workspace_id=workspace_id, user_id=user))
    assert allows(a, workspace_id, user)
    granted = seconds_until(b, workspace_id, user, allowed=True)
    a.memberships.RemoveMember(memberships.RemoveMemberRequest(workspace_id=workspace_id, user_id=user))
    assert not allows(a, workspace_id, user)
    return granted, seconds_until(b, workspace_id, user, allowed=False)


def seen_by_the_other(processes: Processes, count: int) -> list[float]:
    """Grant and revoke ``count`` times and return how long the other process took to see each of them."""
    actor, other = processes.a.client("ann"), processes.b.client()
    workspace_id = workspace_of(actor)
    with ThreadPoolExecutor(4) as pool:
        pairs = pool.map(lambda n: grant_and_revoke(actor, other, workspace_id, f"user{n}"), range(count))
        return [seconds for pair in pairs for seconds in pair]


def test_what_one_process_grants_and_revokes_the_other_sees(processes: Processes) -> None:
    assert len(seen_by_the_other(processes, 10)) == 20


@pytest.mark.soak
def test_a_thousand_grants_and_revocations_are_seen_by_the_other_process(
    processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = sorted(seen_by_the_other(processes, 1_000))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(seen)} seen; median {seen[1_000]:.3f} s, p99 {seen[1_980]:.3f} s, worst {seen[-1]:.3f} s\n"
        )
    assert len(seen) == 2_000


def test_a_write_is_decided_on_the_latest_commit_of_the_other_process(processes: Processes) -> None:
    """The second process never polls: only catching up inside its transaction can tell it of the demotion."""
    ann = processes.a.client("ann")
    workspace_id = workspace_of(ann)
    ann.mirror("bob", "before", "after")
    ann.memberships.AddMember(memberships.AddMemberRequest(workspace_id=workspace_id, user_id="bob", role="admin"))
    with ServerProcess(processes.database_url, BUNDLES / "dam", WSAUTHZ_POLL_SECONDS=NEVER) as deaf:
        bob = deaf.client("bob")
        bob.memberships.AddMember(memberships.AddMemberRequest(workspace_id=workspace_id, user_id="before"))
        ann.memberships.UpdateMember(
            memberships.UpdateMemberRequest(
                workspace_id=workspace_id, user_id="bob", role="viewer", update_mask=FieldMask(paths=["role"])
            )
        )
        refused = refusal(
            bob.memberships.AddMember, memberships.AddMemberRequest(workspace_id=workspace_id, user_id="after")
        )
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
        assert not allows(ann, workspace_id, "after")
        assert not allows(bob, workspace_id, "after")


def test_an_answer_waits_for_the_revision_it_is_asked_for(processes: Processes) -> None:
    """With the revision of a revocation the other process never gives a stale allow."""
    ann, other = processes.a.client("ann"), processes.b.client()
    workspace_id = workspace_of(ann)
    for number in range(8):
        user = f"user{number}"
        ann.mirror(user)
        added = ann.memberships.AddMember(memberships.AddMemberRequest(workspace_id=workspace_id, user_id=user))
        question = authorization.CheckRequest(
            subject=user, workspace_id=workspace_id, resource="workspace", action="view"
        )
        question.at_least_revision = added.revision
        assert other.authorization.Check(question).decision == authorization.DECISION_ALLOW
        removed = ann.memberships.RemoveMember(memberships.RemoveMemberRequest(workspace_id=workspace_id, user_id=user))
        question.at_least_revision = removed.revision
        assert other.authorization.Check(question).decision == authorization.DECISION_DENY


def test_a_management_read_waits_for_the_revision_it_is_asked_for(processes: Processes) -> None:
    """Who joined through one process finds the workspace through the other, and who was removed finds nothing."""
    ann, other = processes.a.client("ann"), processes.b
    for number in range(8):
        bob = f"bob{number}"
        ann.mirror(bob)
        workspace_id = workspace_of(ann)
        added = ann.memberships.AddMember(memberships.AddMemberRequest(workspace_id=workspace_id, user_id=bob))
        get = workspaces.GetWorkspaceRequest(workspace_id=workspace_id, at_least_revision=added.revision)
        assert other.client(bob).workspaces.GetWorkspace(get).workspace.id == workspace_id
        removed = ann.memberships.RemoveMember(memberships.RemoveMemberRequest(workspace_id=workspace_id, user_id=bob))
        list_members = memberships.ListMembersRequest(workspace_id=workspace_id, at_least_revision=removed.revision)
        refused = refusal(other.client(bob).memberships.ListMembers, list_members)
        assert refused.reason == "WORKSPACE_NOT_FOUND"
