"""Every revision is seen exactly once and in order by whoever watches, while several processes write at once."""

import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import grpc
import pytest

from tests.processes.arena import UNPROTECTED
from tests.processes.test_two_processes import workspace_of
from tests.rpc.streams import Silence, Stream, is_gapless, number
from tests.rpc.test_watch import fresh
from tests.serving import BUNDLES, Client, Refusal, ServerProcess, Serving, attempt
from wsauthz.store.database import Database
from wsauthz.v1 import memberships_pb2, users_pb2

ROUNDS: Final = 12
SOAK_ROUNDS: Final = 1_000
EACH: Final = 3
"""Writers of each process; all of them write at the same time, once in a round."""
pytestmark = pytest.mark.timeout(300)
"""Two processes are started for each test, and that alone may take a minute where many tests run."""
TRY_AGAIN: Final = {"UNAVAILABLE", "TOO_MANY_REQUESTS", "TOO_FAR_BEHIND"}


@dataclass
class Outcome:
    """What was written, and what was told of it."""

    written: list[str] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Of writers."""
    is_mirrored: bool = False

    def wrong(self) -> list[str]:
        """Return what is wrong with the streams: what is missing, double, or in another order."""
        last = max(map(number, self.written))
        problems = []
        if len(set(self.written)) != len(self.written):
            problems.append("a revision was returned twice")
        for name, stream in self.streams.items():
            if stream.refusal is not None:
                problems.append(f"{name}: ended with {stream.refusal.reason or stream.refusal}")
            elif not stream.messages or not is_gapless(stream):
                problems.append(f"{name}: is not in order")
            else:
                begin = number(stream.started)
                seen = [*map(number, stream.revisions)]
                lost = {*filter(lambda value: value > begin, map(number, self.written))} - set(seen)
                if lost or seen[-1:] != [last][: last - begin]:
                    problems.append(f"{name}: {len(lost)} of {len(self.written)} are lost")
        return problems


@contextmanager
def processes(url: str, without: str = "") -> Iterator[list[ServerProcess]]:
    """Serve a database twice, without some of the protections."""
    weak = {"PYTHONPATH": str(UNPROTECTED), "WSAUTHZ_TEST_WITHOUT": without} if without else {}
    made = [ServerProcess(url, BUNDLES / "dam", WSAUTHZ_WORKER_THREADS="4", **weak) for _ in range(2)]
    with ExitStack() as stack:
        for process in made:
            stack.enter_context(process)
        yield made


class Writers:
    """Writers of two processes that write at the same time, round by round."""

    def __init__(
        self, made: list[ServerProcess], workspace_id: str, outcome: Outcome, *, is_weak: bool = False
    ) -> None:
        self._try_again = {*TRY_AGAIN, *(["INTERNAL"] if is_weak else [])}
        self._workspace_id = workspace_id
        self._outcome = outcome
        self._ready = threading.Barrier(EACH * len(made))
        self._clients = [process.client("ann") for process in made for _ in range(EACH)]

    def run(self, rounds: int, at: dict[int, threading.Event]) -> None:
        """Write; when a round of ``at`` begins its event is set."""
        with ThreadPoolExecutor(len(self._clients)) as pool:
            list(pool.map(lambda writer: self._run(writer, rounds, at), range(len(self._clients))))

    def _run(self, writer: int, rounds: int, at: dict[int, threading.Event]) -> None:
        try:
            self._write(writer, rounds, at)
        except BaseException as error:  # noqa: BLE001 - kept, and looked at in the end
            self._ready.abort()  # the others would wait for this one
            for event in at.values():
                event.set()
            if not isinstance(error, threading.BrokenBarrierError):
                self._outcome.failures.append(repr(error))

    def _write(self, writer: int, rounds: int, at: dict[int, threading.Event]) -> None:
        chance = random.Random(writer)
        for each in range(rounds):
            self._ready.wait(60)
            if each in at:
                at[each].set()
            threading.Event().wait(chance.random() * 0.003)
            # The third of the process's writers touches only what no decision depends on.
            name = f"user-{writer}-{each}" if writer % EACH else f"user-{writer}"
            self._outcome.written.append(self._once(self._clients[writer], name, f"{writer}-{each}", writer % EACH))

    def _once(self, client: Client, user: str, request_id: str, kind: int) -> str:
        while True:
            if kind:
                member = memberships_pb2.AddMemberRequest(
                    workspace_id=self._workspace_id, user_id=user, request_id=request_id
                )
                answer = attempt(client.memberships.AddMember, member)
            else:
                mirrored = users_pb2.UpsertUserRequest(user_id=user, name=request_id, request_id=request_id)
                answer = attempt(client.users.UpsertUser, mirrored)
            if not isinstance(answer, Refusal):
                return str(answer.revision)
            assert answer.reason in self._try_again or answer.code == grpc.StatusCode.DEADLINE_EXCEEDED, answer


def overlapping(url: str, rounds: int, without: str = "") -> Outcome:
    """Write in overlapping transactions, watched by streams that begin before, during and after on both processes."""
    outcome = Outcome()
    with Serving(url, BUNDLES / "dam") as server:  # with all protections
        workspace_id = workspace_of(server.client("ann"))
    with processes(url, without) as made, ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(process.address)) for process in made]

        def watch(when: str, begin: str = "") -> None:
            for process, channel in zip("AB", channels, strict=True):
                stream = Stream(Client(channel), begin)
                stack.callback(stream.__exit__)
                stream.until(lambda stream=stream: len(stream.messages) > 1)  # type: ignore[misc]
                outcome.streams[f"{when} on {process}"] = stream

        watch("before")
        begin = outcome.streams["before on A"].started
        at = {rounds // 3: threading.Event(), 2 * rounds // 3: threading.Event()}
        writers = Writers(made, workspace_id, outcome, is_weak=bool(without))
        made[0].client("ann").mirror(*(f"user-{writer}-{each}" for writer in range(2 * EACH) for each in range(rounds)))
        writing = threading.Thread(target=writers.run, args=(rounds, at))
        writing.start()
        for name, event in zip(("first", "second"), at.values(), strict=True):
            event.wait(600)
            watch(f"during, {name}, from now")
            watch(f"during, {name}, from the beginning", begin)
        writing.join()
        watch("after", begin)
        assert outcome.failures == []
        last = max(outcome.written, key=number)
        for stream in outcome.streams.values():
            stream.until(lambda stream=stream: last in (stream.started, *stream.revisions[-1:]))  # type: ignore[misc]
        outcome.is_mirrored = mirrors(url, outcome.streams["before on B"], workspace_id)
    return outcome


def mirrors(url: str, stream: Stream, workspace_id: str) -> bool:
    """Tell whether what a stream told of a workspace is what a server would load."""
    database = Database(url)
    facts = fresh(database)
    database.close()
    if stream.refusal is not None:
        return False
    told = {change.membership.user_id for change in stream.changes if change.HasField("membership")}
    place = facts.places["workspace", workspace_id]
    return told | {"ann"} == set(place.members)


def test_every_revision_is_seen_once_and_in_order_over_two_processes(database_url: str) -> None:
    outcome = overlapping(database_url, ROUNDS)
    assert outcome.wrong() == []
    assert len(outcome.written) == ROUNDS * EACH * 2
    assert outcome.is_mirrored


@pytest.mark.soak
def test_a_thousand_rounds_of_overlapping_transactions(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = overlapping(database_url, SOAK_ROUNDS)
    seen = sum(len(stream.revisions) for stream in outcome.streams.values())
    kind = database_url.partition(":")[0]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{kind}: {SOAK_ROUNDS} rounds, {len(outcome.written)} revisions written by two processes, {seen} times"
            f" seen by {len(outcome.streams)} streams; wrong: {outcome.wrong() or 'nothing'}\n"
        )
    assert outcome.wrong() == []
    assert len(outcome.written) == SOAK_ROUNDS * EACH * 2
    assert outcome.is_mirrored


@pytest.mark.soak
def test_without_the_lock_revisions_are_lost(postgresql_url: str) -> None:
    """The order of revisions is then not the order of commits: what commits late was passed over."""
    assert goes_wrong(postgresql_url, "lock")


def goes_wrong(url: str, without: str) -> bool:
    try:
        return bool(overlapping(url, ROUNDS, without).wrong())
    except Silence:
        return True  # a stream that has lost the last revision waits for it in vain
