"""A server that is stopped (SIGSTOP) does not notice; when it goes on, its answers must not be as old as that."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.faults.load import OK, Told, question, seconds_until_ok, tell, workspace_of
from tests.faults.proxy import Proxy
from tests.faults.site import target_of, through, weakened
from tests.serving import BUNDLES, Client, ServerProcess
from wsauthz.v1 import memberships_pb2

CALLERS: Final = 16
HEAL_SECONDS: Final = 2.0


def first_answers(url: str, *, bound: float, stopped: float, without: str = "") -> list[Told]:
    """Stop a server while a member is removed through another one, and return what it answers first when it goes on.

    Its database is out of reach then, so that nothing but the clock tells it.
    """
    settings = {"WSAUTHZ_STALE_SECONDS": str(bound), "WSAUTHZ_POLL_SECONDS": "0.5", **weakened(without)}
    with (
        Proxy(target_of(url)) as proxy,
        ServerProcess(through(proxy, url), BUNDLES / "dam", **settings) as held,
        ServerProcess(url, BUNDLES / "dam") as other,
    ):
        ann = other.client("ann")
        workspace = workspace_of(ann)
        ann.mirror("bob")
        member = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id="bob")
        added = ann.memberships.AddMember(member)
        client: Client = held.client()
        assert tell(client.authorization.Check, question(workspace, "bob", added.revision)).allowed
        assert held.process is not None
        held.process.send_signal(signal.SIGSTOP)
        ann.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id="bob"))
        with ThreadPoolExecutor(CALLERS) as pool:
            asked = [
                pool.submit(tell, client.authorization.Check, question(workspace, "bob"), timeout=stopped + 30)
                for _ in range(CALLERS)
            ]
            time.sleep(stopped)
            proxy.mode = "hold"
            held.process.send_signal(signal.SIGCONT)
            told = [each.result() for each in asked]
        proxy.mode = "pass"
        went_on = time.monotonic()
        while time.monotonic() < went_on + HEAL_SECONDS + 1:
            told.append(tell(client.authorization.Check, question(workspace, "bob")))
            time.sleep(0.02)
        assert seconds_until_ok(told, went_on) < HEAL_SECONDS or without
        return told


def test_after_a_stop_longer_than_the_bound_no_answer_is_old(postgresql_url: str) -> None:
    told = first_answers(postgresql_url, bound=1.0, stopped=1.5)
    assert [call.code for call in told[:CALLERS]] == ["UNAVAILABLE"] * CALLERS
    assert not any(call.allowed for call in told)
    assert told[-1].code == OK


@pytest.mark.faults
def test_without_the_bound_the_first_answers_are_old(postgresql_url: str) -> None:
    assert any(call.allowed for call in first_answers(postgresql_url, bound=1.0, stopped=1.5, without="staleness"))


@pytest.mark.faults
def test_after_a_stop_of_half_a_minute_no_answer_is_old(postgresql_url: str) -> None:
    told = first_answers(postgresql_url, bound=30.0, stopped=31.0)
    assert [call.code for call in told[:CALLERS]] == ["UNAVAILABLE"] * CALLERS
    assert not any(call.allowed for call in told)
