"""Failed codes and tokens are counted per actor, on a clock that the tests hold."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from wsauthz.model.errors import InvalidCode, InvitationNotFound, Refused, Removed, TooManyAttempts, WorkspaceNotFound
from wsauthz.rpc import attempts
from wsauthz.rpc.attempts import MOST, SECONDS, Attempts


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def fail(counted: Attempts, actor: str = "ann", error: Callable[[], Refused] = WorkspaceNotFound) -> None:
    with pytest.raises(Refused) as caught, counted.one_by(actor):
        raise error()
    assert not isinstance(caught.value, TooManyAttempts)


def refused(counted: Attempts, actor: str = "ann") -> float:
    with pytest.raises(TooManyAttempts) as caught, counted.one_by(actor):
        raise AssertionError("it was let through")
    return caught.value.retry_seconds


@pytest.mark.parametrize("error", [WorkspaceNotFound, InvitationNotFound, InvalidCode])
def test_ten_failures_are_free_and_then_one_waits(clock: Clock, error: Callable[[], Refused]) -> None:
    counted = Attempts()
    for _ in range(MOST):
        fail(counted, error=error)
        clock.now += 1
    assert MOST == 10
    assert refused(counted) == SECONDS - MOST
    with counted.one_by("bob"):
        pass


def test_waiting_is_counted_from_each_failure_and_being_refused_prolongs_nothing(clock: Clock) -> None:
    counted = Attempts()
    for _ in range(MOST):
        fail(counted)
        clock.now += 10
    for _ in range(100):
        refused(counted)
    clock.now = 1000.0 + SECONDS - 1
    assert refused(counted) == 1
    clock.now += 1
    fail(counted)
    assert refused(counted) == 10
    clock.now += 10
    with counted.one_by("ann"):
        pass


def test_neither_success_nor_any_other_failure_counts(clock: Clock) -> None:
    counted = Attempts()
    for _ in range(MOST - 1):
        fail(counted)
    for _ in range(50):
        with counted.one_by("ann"):
            pass
        fail(counted, error=Removed)
        with pytest.raises(ZeroDivisionError), counted.one_by("ann"):
            raise ZeroDivisionError
    fail(counted)
    assert refused(counted) == SECONDS


def test_many_at_once_are_no_way_around_the_limit() -> None:
    counted = Attempts()
    together = threading.Barrier(32)
    outcomes: list[str] = []

    def guess() -> None:
        together.wait()
        try:
            with counted.one_by("ann"):
                raise WorkspaceNotFound
        except Refused as error:
            outcomes.append(error.reason)

    with ThreadPoolExecutor(32) as pool:
        for _ in range(32):
            pool.submit(guess)
    assert sorted(outcomes) == ["TOO_MANY_ATTEMPTS"] * 22 + ["WORKSPACE_NOT_FOUND"] * 10


def test_what_is_under_way_takes_room_until_it_ends_well(clock: Clock) -> None:
    counted = Attempts()
    for _ in range(MOST - 1):
        fail(counted)
    with counted.one_by("ann"):
        refused(counted)
    with counted.one_by("ann"):
        pass


def test_who_did_nothing_wrong_is_not_remembered(clock: Clock) -> None:
    counted = Attempts()
    for number in range(100):
        with counted.one_by(f"user-{number}"):
            pass
    assert not counted._failures


def test_memory_is_bounded_and_those_under_a_limit_are_forgotten_last(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_MOST_ACTORS", 20)
    counted = Attempts()
    for number in range(15):
        fail(counted, f"old-{number}")
    clock.now += SECONDS
    for _ in range(MOST):
        fail(counted)
    for number in range(15):
        fail(counted, f"new-{number}")
    assert len(counted._failures) <= 20
    refused(counted)
    for number in range(100):
        fail(counted, f"newer-{number}")
        assert len(counted._failures) <= 20
    with counted.one_by("ann"):
        pass
