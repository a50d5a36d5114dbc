"""Three replicas: restarted one after another under load, and asked for the owner while it changes."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import pytest

from tests.databases import Databases
from tests.faults.flips import Stage
from tests.faults.load import ALLOW, OK, question, tell, workspace_of
from tests.faults.replicas import Replica, replicas
from tests.serving import Client, ServerCommand, ServerProcess
from wsauthz.v1 import authorization_pb2, users_pb2, workspace_states_pb2

TRIES: Final = 40
PAUSE_SECONDS: Final = 0.25
BATCHES: Final = 250
BREATH_SECONDS: Final = 0.05
"""Between the calls of one caller; the long form has none."""
LEAST_CALLS: Final = 30
"""Of four callers, while three servers are restarted."""
LONG_BATCHES: Final = 100_000


@pytest.fixture(scope="module")
def three(postgresql_databases: Databases, pytestconfig: pytest.Config) -> Iterator[list[Replica]]:
    """Return three replicas; in the long form they are started as users start them."""
    kind = ServerCommand if pytestconfig.getoption("--faults") else ServerProcess
    with postgresql_databases.lend() as url, replicas(url, kind=kind) as group:
        yield group


def restart_each(group: list[Replica], *, tries: int, breath: float = 0.0) -> tuple[int, int, int]:
    """Restart the replicas one after another under load.

    Callers try the next replica, ``tries`` times in all. Returns how many calls there were, how many of them were tried
    again, and how many failed.
    """
    workspace = workspace_of(group[0].client("ann"))
    stop = threading.Event()
    counts = [0, 0, 0]

    def call(work: Callable[[Client], Any], first: int) -> None:
        number = first
        while not stop.is_set():
            number += 1
            for attempt in range(tries):
                with grpc.insecure_channel(group[(number + attempt) % len(group)].process.address) as channel:
                    if tell(work, Client(channel, "ann")).code == OK:
                        break
                time.sleep(PAUSE_SECONDS if attempt else 0)
            else:
                counts[2] += 1
            counts[1] += attempt > 0
            counts[0] += 1
            time.sleep(breath)

    added = iter(range(1_000_000))

    def write(client: Client) -> Any:
        return client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id=f"user{next(added)}"))

    def check(client: Client) -> Any:
        return client.authorization.Check(question(workspace, "ann"))

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(call, work, first) for first in (0, 1) for work in (write, check)]
        try:
            for replica in group:
                assert replica.process.terminate() == 0
                replica.process.start()
        finally:
            stop.set()
        for each in running:
            each.result()
    return counts[0], counts[1], counts[2]


def test_a_rolling_restart_fails_no_call_of_callers_who_try_again(three: list[Replica]) -> None:
    calls, again, failed = restart_each(three, tries=TRIES, breath=BREATH_SECONDS)
    assert calls > LEAST_CALLS
    assert again > 0
    assert failed == 0


@pytest.mark.faults
def test_a_rolling_restart_fails_no_call_of_callers_who_never_pause(
    three: list[Replica], capsys: pytest.CaptureFixture[str]
) -> None:
    calls, again, failed = restart_each(three, tries=TRIES)
    with capsys.disabled():
        sys.stdout.write(f"\nrolling restart: {calls} calls, {again} tried again, {failed} failed\n")
    assert again > 0
    assert failed == 0


@pytest.mark.faults
def test_callers_who_do_not_try_again_see_a_rolling_restart(three: list[Replica]) -> None:
    assert restart_each(three, tries=1)[2] > 0


def wrong_owners(group: list[Replica], batches: int, ask: Callable[[Client, str, list[str]], int]) -> int:
    """Pass a workspace back and forth, and return how many times there were two owners, or none."""
    stage = Stage(group[0].client)
    ann = stage.user()
    workspace = stage.workspace(ann).workspace.id
    bob = stage.member(ann, workspace, "admin")
    for replica in group:
        replica.client().authorization.Check(question(workspace, bob, stage.revision))
    stop = threading.Event()

    def pass_on() -> None:
        owner, other = ann, bob
        while not stop.is_set():
            request = workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=other)
            if tell(group[0].client(owner).states.TransferOwnership, request).code == OK:
                owner, other = other, owner

    wrong = 0
    with ThreadPoolExecutor(1) as pool:
        passing = pool.submit(pass_on)
        clients = [replica.client() for replica in group]
        try:
            for number in range(batches):
                wrong += ask(clients[number % len(clients)], workspace, [ann, bob]) != 1
        finally:
            stop.set()
        passing.result()
    return wrong


def owners_at_once(client: Client, workspace: str, users: list[str]) -> int:
    """Return how many of the users are the owner, by one BatchCheck."""
    items = [
        authorization_pb2.BatchCheckItem(
            subject=user, workspace_id=workspace, resource="workspace", actions=["transfer"]
        )
        for user in users
    ]
    answers = client.authorization.BatchCheck(authorization_pb2.BatchCheckRequest(items=items)).answers
    return sum(answer.decision == ALLOW for answer in answers)


def owners_in_turn(client: Client, workspace: str, users: list[str]) -> int:
    """Return the same by a Check for each user, between which it may change."""
    return sum(owners_at_once(client, workspace, [user]) for user in users)


def test_a_batch_sees_one_owner(three: list[Replica]) -> None:
    assert wrong_owners(three, BATCHES, owners_at_once) == 0


@pytest.mark.faults
def test_checks_one_after_another_see_two_owners_or_none(three: list[Replica]) -> None:
    assert wrong_owners(three, BATCHES, owners_in_turn) > 0


@pytest.mark.faults
def test_a_hundred_thousand_batches_see_one_owner(three: list[Replica]) -> None:
    assert wrong_owners(three, LONG_BATCHES, owners_at_once) == 0
