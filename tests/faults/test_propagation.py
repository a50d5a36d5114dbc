"""What one replica changes the others decide on: at once with its revision, soon without, hint or no hint."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.databases import Databases
from tests.faults.flips import CANNOT_FLIP, FLIPS, Case, Stage
from tests.faults.load import ALLOW
from tests.faults.replicas import Replica, replicas
from wsauthz.rpc.methods import methods

PATIENCE_SECONDS: Final = 5.0
POLLED_SECONDS: Final = 2.0
LONG_ROUNDS: Final = 110
NEVER: Final = "3600"


def test_every_rpc_that_writes_can_flip_a_decision_or_is_said_not_to() -> None:
    assert set(FLIPS) | set(CANNOT_FLIP) == {method.name for method in methods().values() if method.writes}
    assert not set(FLIPS) & set(CANNOT_FLIP)


def allows(replica: Replica, case: Case, at_least: str = "") -> bool:
    """Ask a replica."""
    question = type(case.question)()
    question.CopyFrom(case.question)
    question.at_least_revision = at_least
    return bool(replica.client().authorization.Check(question).decision == ALLOW)


def stale_answers(group: list[Replica], rounds: int, names: Iterable[str] = FLIPS) -> tuple[int, int]:
    """Flip decisions on the first replica; return how many answers of the others, with its revision, were old."""
    stage = Stage(group[0].client)
    asked = stale = 0
    for _ in range(rounds):
        for name in names:
            case = FLIPS[name](stage)
            warm(group, case, stage)
            case.change()
            for other in group[1:]:
                asked += 1
                stale += allows(other, case, stage.revision) == case.before
    return asked, stale


def seconds_to_flip(group: list[Replica], rounds: int, names: Iterable[str] = FLIPS) -> list[float]:
    """Flip decisions on the first replica; return how long after the call the last of the others had it."""
    stage = Stage(group[0].client)
    seconds = []
    for _ in range(rounds):
        for name in names:
            case = FLIPS[name](stage)
            warm(group, case, stage)
            case.change()
            seconds.append(wait(group, case))
    return sorted(seconds)


def warm(group: list[Replica], case: Case, stage: Stage) -> None:
    """Have the others know the answer from before the change; a token that nobody waits for takes a while."""
    began = time.monotonic()
    for other in group[1:]:
        while allows(other, case, stage.revision) != case.before:
            assert time.monotonic() - began < PATIENCE_SECONDS
            time.sleep(0.02)


def wait(group: list[Replica], case: Case) -> float:
    """Wait until the others know of the change, and return how long that took."""
    began = time.monotonic()
    for other in group[1:]:
        while allows(other, case) == case.before:
            assert time.monotonic() - began < PATIENCE_SECONDS, "the change is not heard of"
            time.sleep(0.001)
    return time.monotonic() - began


@contextmanager
def deaf(group: list[Replica]) -> Iterator[None]:
    """Let no notification arrive within the block: connections stay open, and nothing comes."""
    for replica in group:
        replica.proxy.deaf = True
    yield
    for replica in group:
        replica.proxy.deaf = False


def report(capsys: pytest.CaptureFixture[str], seconds: list[float], what: str) -> None:
    """Print what was measured."""
    median, high = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {len(seconds)}, p50 {median:.3f} s, p99 {high:.3f} s, worst {seconds[-1]:.3f} s\n")


@pytest.fixture(scope="module")
def three(postgresql_databases: Databases) -> Iterator[list[Replica]]:
    """Return three replicas."""
    with postgresql_databases.lend() as url, replicas(url) as group:
        yield group


def test_with_its_revision_no_answer_is_old_and_without_it_soon_none_is(three: list[Replica]) -> None:
    asked, stale = stale_answers(three, 1)
    assert (asked, stale) == (2 * len(FLIPS), 0)
    assert seconds_to_flip(three, 1, ("AddMember", "RemoveMember"))[-1] < POLLED_SECONDS
    with deaf(three):
        assert seconds_to_flip(three, 1, ("RemoveMember", "SuspendWorkspace"))[-1] < POLLED_SECONDS


@pytest.mark.faults
def test_without_waiting_for_the_revision_answers_are_old(postgresql_url: str) -> None:
    with replicas(postgresql_url, 2, without="waiting") as group, deaf(group):
        assert stale_answers(group, 3, ("RemoveMember",))[1] > 0


@pytest.mark.faults
def test_without_the_poll_a_lost_notification_is_never_heard_of(postgresql_url: str) -> None:
    with replicas(postgresql_url, 2, WSAUTHZ_POLL_SECONDS=NEVER, WSAUTHZ_STALE_SECONDS=NEVER) as group:
        stage = Stage(group[0].client)
        case = FLIPS["RemoveMember"](stage)
        warm(group, case, stage)
        with deaf(group):
            case.change()
            with pytest.raises(AssertionError, match="is not heard of"):
                wait(group, case)


@pytest.mark.faults
def test_without_notifications_only_the_poll_tells(postgresql_url: str) -> None:
    """With them a poll that nearly never comes is enough."""
    with replicas(postgresql_url, 2, WSAUTHZ_POLL_SECONDS=NEVER, WSAUTHZ_STALE_SECONDS=NEVER) as group:
        assert len(seconds_to_flip(group, 3, ("RemoveMember",))) == 3


@pytest.mark.faults
def test_no_answer_of_five_thousand_is_old(three: list[Replica], capsys: pytest.CaptureFixture[str]) -> None:
    asked, stale = stale_answers(three, LONG_ROUNDS)
    with capsys.disabled():
        sys.stdout.write(f"\nwith the revision: {stale} of {asked} answers were old\n")
    assert asked >= 5_000
    assert stale == 0


@pytest.mark.faults
def test_how_soon_others_know(three: list[Replica], capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, seconds_to_flip(three, 20), "with notifications")
    with deaf(three):
        polled = seconds_to_flip(three, 5)
    report(capsys, polled, "without notifications")
    assert polled[-1] < POLLED_SECONDS
