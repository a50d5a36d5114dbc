"""The limit of audit entries about rejected attempts, on a clock that the tests hold."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsauthz.replica import rejections
from wsauthz.replica.rejections import PER_MINUTE, SEVERAL_REASONS, Rejections
from wsauthz.store.audit import AuditEntry

ENTRY = AuditEntry(
    created_at=datetime(2030, 1, 1, tzinfo=UTC),
    caller="local",
    actor="mallory",
    method="MembershipService/AddMember",
    target_kind="user",
    target_id="bob",
    place_kind="workspace",
    place_id="w",
    before={},
    after={},
    refusal="WORKSPACE_NOT_FOUND",
    request_id="r-1",
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(rejections, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def attempts(counted: Rejections) -> list[int]:
    return [entry.attempts for entry in counted.pending]


def test_ten_a_minute_have_entries_and_the_rest_one_more(clock: Clock) -> None:
    counted = Rejections()
    for _ in range(PER_MINUTE + 7):
        counted.add(ENTRY)
        clock.now += 1
    assert PER_MINUTE == 10
    assert attempts(counted) == [1] * 10
    clock.now += 60
    counted.close_windows()
    assert counted.pending[10:] == [replace(ENTRY, attempts=7)]
    counted.add(ENTRY)
    assert attempts(counted)[11:] == [1]


def test_each_actor_caller_and_method_has_its_own_ten(clock: Clock) -> None:
    counted = Rejections()
    others = [replace(ENTRY, actor="eve"), replace(ENTRY, caller="key:1"), replace(ENTRY, method="X/Y")]
    for entry in (ENTRY, *others):
        for _ in range(15):
            counted.add(entry)
    assert len(counted.pending) == 40
    counted.close_windows(all_of_them=True)
    assert attempts(counted)[40:] == [5] * 4
    assert counted.pending[40:] == [replace(entry, attempts=5) for entry in (ENTRY, *others)]
    assert not counted._windows


def test_a_count_of_different_attempts_says_only_what_they_have_in_common(clock: Clock) -> None:
    counted = Rejections()
    for _ in range(PER_MINUTE):
        counted.add(ENTRY)
    counted.add(ENTRY)
    counted.add(replace(ENTRY, target_id="carl", request_id="r-2"))
    counted.close_windows(all_of_them=True)
    rest = counted.pending[-1]
    assert (rest.attempts, rest.target_kind, rest.target_id, rest.request_id) == (2, "", "", "")
    assert (rest.place_id, rest.refusal, rest.actor) == ("w", "WORKSPACE_NOT_FOUND", "mallory")
    for _ in range(PER_MINUTE):
        counted.add(ENTRY)
    counted.add(ENTRY)
    counted.add(replace(ENTRY, place_id="x", refusal="ROLE_CEILING"))
    counted.close_windows(all_of_them=True)
    rest = counted.pending[-1]
    assert (rest.place_kind, rest.place_id, rest.refusal) == ("platform", "", SEVERAL_REASONS)


def test_invented_actors_cannot_fill_the_audit(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "PER_CALLER", 20)
    counted = Rejections()
    for number in range(1000):
        counted.add(replace(ENTRY, actor=f"user-{number}"))
    counted.add(replace(ENTRY, caller="key:other"))
    assert len(counted.pending) == 21
    assert len(counted._windows) < 30
    counted.close_windows(all_of_them=True)
    assert counted.pending[21:] == [replace(ENTRY, actor="", attempts=980)]


def test_while_the_database_takes_nothing_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "MOST_PENDING", 30)
    counted = Rejections()
    for minute in range(100):
        for number in range(20):
            counted.add(replace(ENTRY, actor=f"user-{minute}-{number}"))
        clock.now += 61
    assert len(counted.pending) <= 31
    counted.close_windows(all_of_them=True)
    assert sum(attempts(counted)) == 2000


NAMES = st.sampled_from(["", "a", "b", "a b", "local"])


@given(
    st.lists(
        st.tuples(NAMES, NAMES, NAMES, NAMES, NAMES, st.sampled_from([0.0, 1.0, 30.0, 61.0])), min_size=1, max_size=200
    )
)
def test_every_attempt_is_in_an_entry_or_a_count(tries: list[tuple[str, str, str, str, str, float]]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rejections, "time", SimpleNamespace(monotonic=clock.monotonic))
        patched.setattr(rejections, "PER_MINUTE", 2)
        patched.setattr(rejections, "PER_CALLER", 5)
        patched.setattr(rejections, "MOST_PENDING", 20)
        counted, made = Rejections(), Counter[tuple[str, str]]()
        for caller, actor, method, target, place, pause in tries:
            entry = replace(ENTRY, caller=caller, actor=actor, method=method, target_id=target, place_id=place)
            counted.add(entry)
            made[caller, method] += 1
            clock.now += pause
        counted.close_windows(all_of_them=True)
    written = Counter[tuple[str, str]]()
    for entry in counted.pending:
        written[entry.caller, entry.method] += entry.attempts
    assert written == made
    assert counted.is_idle is False
