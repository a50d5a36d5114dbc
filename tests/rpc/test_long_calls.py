"""Calls that take long: they keep nobody waiting, and they end when nobody waits for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.audited import until
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import BUNDLES, Refusal, Serving, attempt
from wsauthz.policy import current, judging
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc import long_calls
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import audit_verification
from wsauthz.v1 import audit_pb2, policy_pb2, workspaces_pb2

NAMES = [f"{OPERATOR}{number}" for number in range(4)]
OPERATORS = [{"platform": True, "user": name, "role": "operator"} for name in NAMES]


@pytest.fixture
def slow(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Return a server with an audit of some pages, on which verifying it would take hours."""
    monkeypatch.setattr(audit_verification, "_AT_ONCE", 1)
    monkeypatch.setattr(audit_verification, "_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(audit_verification, "_PAGE", 2)
    state = {"memberships": [*STATE["memberships"], *OPERATORS]}
    fill(database_url, state_of(state), read_bundle(BUNDLES / "dam", core_vocabulary()).catalog)
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner = tenants.user()
        tenants.workspace(owner)
        verify = audit_verification.verify

        def again_and_again(*arguments: Any, **options: Any) -> Any:
            while True:
                verify(*arguments, **options)

        monkeypatch.setattr(audit_verification, "verify", again_and_again)
        yield tenants


def verifying(tenants: Tenants, count: int) -> list[Any]:
    """Begin to verify the audit so many times, for one operator after the other."""
    calls = [
        tenants.client(NAMES[number % len(NAMES)]).audit.VerifyAudit.future(audit_pb2.VerifyAuditRequest(), timeout=600)
        for number in range(count)
    ]
    long_reads = tenants.server.server._wrapper._running._long_reads
    until(lambda: len(long_reads._given_up), lambda begun: begun == min(count, long_calls.MOST_CALLS))
    return calls


def test_others_are_answered_while_the_audit_is_verified_and_abandoned_calls_end(slow: Tenants) -> None:
    calls = verifying(slow, long_calls.MOST_CALLS)
    owner = slow.user()
    workspace = slow.workspace(owner).id
    shown = slow.client(owner).workspaces.GetWorkspace(workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace))
    assert shown.workspace.id == workspace
    assert not slow.operator.policy.ReloadPolicy(policy_pb2.ReloadPolicyRequest()).problems
    assert not any(call.done() for call in calls)
    for call in calls:
        call.cancel()
    long_reads = slow.server.server._wrapper._running._long_reads
    until(lambda: not long_reads._given_up)
    assert not long_reads._by_actor


def test_a_ninth_call_and_a_fifth_of_one_actor_are_turned_away(slow: Tenants) -> None:
    request = audit_pb2.VerifyAuditRequest()
    mine = [slow.client(NAMES[0]).audit.VerifyAudit.future(request, timeout=600) for _ in range(4)]
    long_reads = slow.server.server._wrapper._running._long_reads
    until(lambda: len(long_reads._given_up) == 4)
    fifth = attempt(slow.client(NAMES[0]).audit.VerifyAudit, request)
    assert isinstance(fifth, Refusal)
    assert (fifth.code, fifth.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
    others = [slow.client(name).audit.VerifyAudit.future(request, timeout=600) for name in NAMES[1:3] * 2]
    until(lambda: len(long_reads._given_up) == 8)
    ninth = attempt(slow.client(NAMES[3]).audit.VerifyAudit, request)
    assert isinstance(ninth, Refusal)
    assert ninth.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not any(call.done() for call in (*mine, *others))


def test_a_server_that_stops_ends_them(slow: Tenants) -> None:
    calls = verifying(slow, 3)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(slow.server.run, slow.server.server.stop())
        assert {call.code() for call in calls} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        stopping.result()


def test_policies_that_take_long_keep_no_management_call_waiting(
    slow: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the bundle takes as long as the test wants; eight calls that ask for it fill no thread of others."""
    go_on = threading.Event()

    def wait(*arguments: Any) -> Any:
        go_on.wait()
        return judging.judge(*arguments)

    monkeypatch.setattr(current, "judge", wait)
    request = policy_pb2.ReloadPolicyRequest()
    calls = [slow.client(NAMES[number % 4]).policy.ReloadPolicy.future(request, timeout=600) for number in range(8)]
    policy_calls = slow.server.server._wrapper._running._policy_calls
    try:
        until(lambda: len(policy_calls._given_up) == 8)
        assert slow.workspace(slow.user()).id
        assert not any(call.done() for call in calls)
    finally:
        go_on.set()
    assert [call.result().problems for call in calls] == [[]] * 8
