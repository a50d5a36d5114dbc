"""The database's time between two polls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tenancy.world import World, policy
from wsauthz.replica import clock
from wsauthz.replica.clock import DatabaseClock


@dataclass(slots=True)
class Time:
    """Seconds of the monotonic clock, moved by a test."""

    now: float = 1_000.0


@contextmanager
def held() -> Iterator[Time]:
    """Hold the monotonic clock that the clock under test reads."""
    moved = Time()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "monotonic", lambda: moved.now)
        yield moved


@pytest.fixture
def monotonic() -> Iterator[Time]:
    """Return the monotonic clock that the clock under test reads."""
    with held() as moved:
        yield moved


def test_it_goes_on_while_the_database_is_silent(monotonic: Time) -> None:
    told = DatabaseClock()
    told.set(1_000_000.0, sent_at=monotonic.now)
    monotonic.now += 60
    assert told.now() == 1_000_060.0


def test_a_slow_answer_does_not_put_it_back(monotonic: Time) -> None:
    told = DatabaseClock()
    sent_at = monotonic.now
    monotonic.now += (
        0.5  # the database reads its clock when the question arrives or later, and the answer takes a while
    )
    told.set(1_000_000.0, sent_at=sent_at)
    assert told.now() == 1_000_000.5


def test_an_answer_that_was_overtaken_is_left_out(monotonic: Time) -> None:
    told = DatabaseClock()
    told.set(1_000_000.0, sent_at=monotonic.now)
    told.set(2_000_000.0, sent_at=monotonic.now - 1)
    assert told.now() == 1_000_000.0


def test_it_stands_still_while_the_clock_of_the_database_has_been_set_back(monotonic: Time) -> None:
    told = DatabaseClock()
    told.set(1_000_000.0, sent_at=monotonic.now)
    told.set(1_000_000.0 - 3_600, sent_at=monotonic.now + 1e-9)
    monotonic.now += 3_599
    assert told.now() == 1_000_000.0
    monotonic.now += 2
    assert told.now() == pytest.approx(1_000_001.0)


delays = st.floats(0, 2)


@given(polls=st.lists(st.tuples(delays, delays, delays, st.floats(-5_000, 5_000)), max_size=30), jumps=st.booleans())
def test_it_is_never_behind_the_database_and_never_goes_back(
    polls: list[tuple[float, float, float, float]], *, jumps: bool
) -> None:
    told, ahead, seen = DatabaseClock(), 1_000_000.0, [0.0]
    with held() as monotonic:
        for pause, there, back, jump in polls:
            ahead += jump if jumps else 0
            monotonic.now += pause + 1e-6
            seen.append(told.now())
            sent_at = monotonic.now
            monotonic.now += there
            answer = monotonic.now + ahead
            monotonic.now += back
            told.set(answer, sent_at=sent_at)
            seen.append(told.now())
            assert seen[-1] >= monotonic.now + ahead - 1e-5
    assert all(earlier <= later for earlier, later in pairwise(seen))


def test_a_write_is_never_decided_at_an_earlier_time_than_a_check(sqlite_url: str) -> None:
    """What is expired for one must not still be a right for the other."""
    world = World(sqlite_url, policy("dam"))
    ahead = world.replica.now() + 3_600
    world.replica._clock.set(ahead, sent_at=time.monotonic())
    assert world.write("op", lambda tx: tx.now.timestamp()) >= ahead - 1e-3
    world.database.close()
