"""What a write costs over the statements it makes, and when others see it."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import grpc

from bench import policies, postgresql, processes
from bench.dataset import Dataset, make
from bench.measure import Rounds
from bench.report import Line, Section, write
from bench.servers import Server
from bench.statements import Recorded, recorded, replay
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import authorization_pb2_grpc, memberships_pb2, memberships_pb2_grpc

MEMBERSHIPS: Final = 10_000
ROUNDS: Final = 7
WRITES: Final = 150
"""In one round of each kind."""
SEEN: Final = 300
"""Writes whose arrival at the other server is timed."""
MOST_RATIO: Final = 3.0
MOST_MILLISECONDS: Final = 50.0

_PAUSE: Final = 0.0005
_UNHELD: Final = "WSAUTHZ_WRITE_SHARE=1"
"""What is measured here is what a write costs, not how long it waits for its turn."""


def run() -> None:
    """Measure, and write the section."""
    data = make(policies.bundle().catalog, MEMBERSHIPS)
    place, operator = _place_and_operator(data)
    users = (f"new_{number:07}" for number in count())
    with postgresql.running() as database:
        url = postgresql.create(database, "writes", data)
        statements = recorded(url, place, operator)
        with processes.serving(url, settings=[_UNHELD]) as first:
            rounds = [
                (*_calls(first, place, operator, users), *replay(url, statements, WRITES)) for _ in range(ROUNDS + 1)
            ][1:]
            unseen = _own_writes(first, place, operator, users)
            with processes.serving(url) as second:
                late = _arrivals(first, second, place, operator, users)
    write(_section(rounds, statements, unseen, late, str(data)))


def _place_and_operator(data: Dataset) -> tuple[str, str]:
    """Return a workspace that takes members, and somebody who may add them."""
    blocked = {values["id"] for values in data.workspaces if not values["is_active"] or values["is_suspended"]}
    roots = (
        values
        for values in data.workspaces
        if values["parent_workspace_id"] is None and values["organization_id"] is None
    )
    place = next(values["id"] for values in roots if values["id"] not in blocked)
    operator = next(
        values["user_id"]
        for values in data.memberships
        if values["workspace_id"] is None and values["organization_id"] is None
    )
    return place, operator


def _add(channel: grpc.Channel, place: str, operator: str) -> Callable[[str], Any]:
    stub = memberships_pb2_grpc.MembershipServiceStub(channel)
    by = (("x-wsauthz-actor", operator),)

    def add(user: str) -> Any:
        request = memberships_pb2.AddMemberRequest(workspace_id=place, user_id=user, role="viewer")
        return stub.AddMember(request, metadata=by)

    return add


def _may(channel: grpc.Channel, place: str) -> Callable[[str], bool]:
    stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)

    def may(user: str) -> bool:
        request = pb.CheckRequest(subject=user, workspace_id=place, resource="workspace", action="view")
        return bool(stub.Check(request).decision == pb.DECISION_ALLOW)

    return may


def _calls(server: Server, place: str, operator: str, users: Iterator[str]) -> tuple[float, float]:
    """Return how many seconds one AddMember takes, by one caller, and how many of the server's CPU time."""
    with grpc.insecure_channel(server.address) as channel:
        add = _add(channel, place, operator)
        add(next(users))
        began, cpu = time.perf_counter(), server.cpu_seconds()
        for _ in range(WRITES):
            add(next(users))
        return (time.perf_counter() - began) / WRITES, (server.cpu_seconds() - cpu) / WRITES


def _own_writes(server: Server, place: str, operator: str, users: Iterator[str]) -> int:
    """Return how many of the writes are not seen by the writer's next Check."""
    with grpc.insecure_channel(server.address) as channel:
        add, may = _add(channel, place, operator), _may(channel, place)
        unseen = 0
        for _ in range(SEEN):
            user = next(users)
            add(user)
            unseen += not may(user)
        return unseen


def _arrivals(first: Server, second: Server, place: str, operator: str, users: Iterator[str]) -> Rounds:
    """Return, in milliseconds, how long after its answer each write at one server counts at the other."""
    late: list[float] = []
    with grpc.insecure_channel(first.address) as channel, grpc.insecure_channel(second.address) as other:
        add, may = _add(channel, place, operator), _may(other, place)
        for _ in range(SEEN):
            user = next(users)
            seen: list[float] = []
            watching = threading.Thread(target=_watch, args=(may, user, seen))
            watching.start()
            time.sleep(_PAUSE)
            add(user)
            answered = time.perf_counter()
            watching.join()
            late.append(max(0.0, seen[0] - answered) * 1e3)
    return Rounds(values=tuple(late))


def _watch(may: Callable[[str], bool], user: str, seen: list[float]) -> None:
    while not may(user):
        time.sleep(_PAUSE)
    seen.append(time.perf_counter())


def _section(
    rounds: list[tuple[float, float, float, float]], statements: Recorded, unseen: int, late: Rounds, dataset: str
) -> Section:
    calls, call_cpu, core, core_cpu = (Rounds(values=values) for values in zip(*rounds, strict=True))
    ordered = sorted(late.values)
    p99 = ordered[int(len(ordered) * 0.99)]
    lines = [
        Line(
            what="AddMember over gRPC, one caller; CPU time of the server",
            figure=f"{calls.each(_milliseconds).text('.2f')} ms; {call_cpu.each(_milliseconds).text('.2f')} ms",
        ),
        Line(
            what=f"its {len(statements)} statements through SQLAlchemy Core alone; CPU time of the process",
            figure=f"{core.each(_milliseconds).text('.2f')} ms; {core_cpu.each(_milliseconds).text('.2f')} ms",
        ),
        *(
            Line(
                what=f"the one over the other: {what}",
                figure=f"x {ratio.text('.2f')}",
                target=f"<= x {MOST_RATIO:g}",
                is_met=ratio.median <= MOST_RATIO,
            )
            for what, ratio in (("by the clock", calls.over(core)), ("CPU time", call_cpu.over(core_cpu)))
        ),
        Line(
            what=f"of {SEEN} writes, those that the next Check at the same server does not see",
            figure=str(unseen),
            target="0",
            is_met=unseen == 0,
        ),
        Line(
            what=f"from the answer to {SEEN} writes until another server's Check sees them: median, p99",
            figure=f"{late.median:.1f} ms, {p99:.1f} ms",
            target=f"p99 <= {MOST_MILLISECONDS:g} ms",
            is_met=p99 <= MOST_MILLISECONDS,
        ),
    ]
    intro = (
        f"`wsauthz serve` on PostgreSQL with {dataset}, with {_UNHELD} (by default writes get a fifth of a core, so that checks "
        f"go on). {ROUNDS} rounds of {WRITES} writes: AddMember by one caller, then the statements that the server itself makes "
        "for one, recorded beforehand, by SQLAlchemy Core in this process, one transaction each. Then a second server beside it."
    )
    notes = [
        "All processes share two cores, and servers one of them. CPU time leaves out what PostgreSQL itself does, which is "
        "the same in both, so that ratio is the stricter one."
    ]
    return Section(name="writes", title="Writes", intro=intro, lines=lines, notes=notes)


def _milliseconds(seconds: float) -> float:
    return seconds * 1e3
