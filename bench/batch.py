"""BatchCheck of 1,000 items at a million memberships, RPC included."""

from itertools import islice
from typing import Final

import grpc

from bench import policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.load import CONNECTIONS, Load, call, check_installed
from bench.measure import Rounds
from bench.questions import draw
from bench.report import Line, Section, write
from bench.servers import Server
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import authorization_pb2_grpc

MEMBERSHIPS: Final = 1_000_000
ITEMS: Final = 1_000
ROUNDS: Final = 7
BATCHES: Final = 240
"""In one round of one case."""
LEAST_PER_SECOND: Final = 120_000

_METHOD: Final = "wsauthz.v1.AuthorizationService/BatchCheck"
_DRAWN: Final = 40_000
_CASES: Final = ("allow", "deny", "mixed")
_TRANSPORTS: Final = ("grpcio", "native")

_Round = dict[str, Load]
"""By case."""


def run() -> None:
    """Measure, and write the section."""
    check_installed()
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    asked = draw(catalog, data.memberships, [values["id"] for values in data.workspaces])
    items = [
        pb.BatchCheckItem(subject=subject, workspace_id=place_id, resource=resource, actions=[action])
        for subject, _, place_id, resource, action in islice(asked, _DRAWN)
    ]
    found = {}
    for transport in _TRANSPORTS:
        with servers.real(path_of(data), transport) as server:
            requests = _requests(server, items)
            found[transport] = [
                {name: call(server, _METHOD, requests[name], BATCHES, streams=1) for name in _CASES}
                for _ in range(ROUNDS + 1)
            ][1:]
    write(_section(found, str(data)))


def _requests(server: Server, items: list[pb.BatchCheckItem]) -> dict[str, list[pb.BatchCheckRequest]]:
    """Return batches of each kind, one for each connection, sorted by the answers that the real stub got."""
    answers: list[int] = []
    with grpc.insecure_channel(server.address) as channel:
        stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
        for start in range(0, len(items), ITEMS):
            batch = stub.BatchCheck(pb.BatchCheckRequest(items=items[start : start + ITEMS]))
            answers += [answer.decision for answer in batch.answers]
    pairs = list(zip(items, answers, strict=True))
    kinds = {
        "allow": [item for item, decision in pairs if decision == pb.DECISION_ALLOW],
        "deny": [item for item, decision in pairs if decision == pb.DECISION_DENY],
        "mixed": items,
    }
    return {
        name: [pb.BatchCheckRequest(items=found[n * ITEMS : (n + 1) * ITEMS]) for n in range(CONNECTIONS)]
        for name, found in kinds.items()
    }


def _section(found: dict[str, list[_Round]], dataset: str) -> Section:
    lines = [_line(transport, name, rounds) for transport, rounds in found.items() for name in _CASES]
    loads = [load for rounds in found.values() for each in rounds for load in each.values()]
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, on core {servers.CORE}; h2load on another, {CONNECTIONS} connections with "
        f"one batch of {ITEMS:,} random questions at a time, {ROUNDS} rounds of {BATCHES} batches of each kind."
    )
    notes = [
        f"Calls without HTTP status 200: {sum(load.failed for load in loads)} of {sum(load.calls for load in loads):,}."
    ]
    return Section(name="batch", title="BatchCheck", intro=intro, lines=lines, notes=notes)


def _line(transport: str, name: str, rounds: list[_Round]) -> Line:
    per_second = Rounds(values=tuple(each[name].per_second * ITEMS for each in rounds))
    cpu = Rounds(values=tuple(each[name].cpu_seconds / ITEMS * 1e6 for each in rounds))
    return Line(
        what=f"{transport}, {name}: decisions/s and CPU time of one",
        figure=f"{per_second.text(',.0f')}/s; {cpu.text('.2f')} us",
        target=f">= {LEAST_PER_SECOND:,}/s",
        is_met=per_second.median >= LEAST_PER_SECOND,
    )
