"""What writes may take, and what refused ones may."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import grpc
import pytest
from sqlalchemy.engine import make_url

from tests.rpc.conftest import MakeDatabase
from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, Serving, refusal
from wsauthz.rpc import budget
from wsauthz.rpc.budget import WriteBudget
from wsauthz.v1 import memberships_pb2


def waited(share: float, writes: int, cost: float) -> float:
    """Let so many writes that cost so much begin one after another, and return how long they wait by the clock."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(budget, "time", SimpleNamespace(monotonic=clock.monotonic))
        made = WriteBudget(share)
        clock.now += 10
        began = clock.now
        for _ in range(writes):
            clock.now += max(0.0, made.wait_seconds())
            made.reserve()
            made.settle(cost)
    return clock.now - began


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_burst_waits_for_nothing() -> None:
    assert waited(0.2, 100, 0.001) == 0


def test_writes_beyond_the_share_wait() -> None:
    """Half a second of the interpreter, of which a quarter is saved up: the rest takes a fifth of the time."""
    assert waited(0.2, 500, 0.001) == pytest.approx(1.25, abs=0.05)


def test_without_a_limit_nothing_waits() -> None:
    assert waited(1.0, 500, 0.1) == 0


def test_writes_that_are_refused_again_and_again_are_kept_from_the_lock(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last owner may not leave; that takes a transaction to find out, and others are not held up by it."""
    monkeypatch.setattr(budget, "FREE_REFUSALS", 5)
    monkeypatch.setattr(budget, "REFUSALS_PER_SECOND", 0.01)
    with make_database() as url, Serving(url, BUNDLES / "dam") as serving:
        tenants = Tenants(serving)
        owner, other = tenants.user(), tenants.user()
        workspaces = [tenants.workspace(each).id for each in (owner, other)]
        leave = [memberships_pb2.LeaveRequest(workspace_id=each) for each in workspaces]
        found = [refusal(tenants.client(owner).memberships.Leave, leave[0]) for _ in range(7)]
        assert [each.code for each in found[:5]] == [grpc.StatusCode.FAILED_PRECONDITION] * 5
        assert (found[-1].code, found[-1].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REFUSALS")
        assert found[-1].retry_seconds is not None
        assert found[-1].retry_seconds > 0
        assert refusal(tenants.client(other).memberships.Leave, leave[1]).code is grpc.StatusCode.FAILED_PRECONDITION
        assert tenants.member(owner, workspaces[0])


def test_refused_attempts_that_wait_to_be_audited_leave_room_for_calls(sqlite_url: str) -> None:
    """Nobody waits for them, and whoever makes them has a new name every time."""
    with Serving(sqlite_url, BUNDLES / "dam") as serving:
        tenants = Tenants(serving)
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        with closing(sqlite3.connect(str(make_url(sqlite_url).database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(200):
                remove = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=owner)
                stranger = tenants.client(f"stranger-{number}").memberships
                assert refusal(stranger.RemoveMember, remove).reason == "WORKSPACE_NOT_FOUND"
            asked = tenants.client(owner).memberships.ListMembers.future(
                memberships_pb2.ListMembersRequest(workspace_id=workspace), timeout=30
            )
            other.execute("ROLLBACK")
            assert len(asked.result().members) == 1
