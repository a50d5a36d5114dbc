"""Check over gRPC at a million memberships, against a bare empty method, on each transport."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty

from bench import empty, policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.load import CONNECTIONS, STREAMS, Load, call, check_installed
from bench.measure import Rounds, microseconds
from bench.questions import CHECK, Asked, draw, ours
from bench.report import Line, Section, write
from bench.series import Series
from bench.servers import Server
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import authorization_pb2_grpc

MEMBERSHIPS: Final = 1_000_000
ROUNDS: Final = 11
CALLS: Final = {"grpcio": 16_000, "native": 80_000}
"""In one round of one case."""
LEAST_RATIO: Final = {"grpcio": 0.75, "native": 0.5}
"""By transport, which these tables list."""

_EMPTY: Final = f"{empty.SERVICE}/{empty.METHOD}"
_SAMPLED: Final = CONNECTIONS * (ROUNDS + 1)

Burst = Mapping[str, Load]


@dataclass(slots=True, kw_only=True)
class Sample:
    """Requests by the answer that the real stub got."""

    allowed: list[pb.CheckRequest] = field(default_factory=list)
    denied: list[pb.CheckRequest] = field(default_factory=list)
    asked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found out about one transport."""

    transport: str
    bursts: Sequence[Burst]
    accounted: str


def run(transports: Sequence[str] = tuple(LEAST_RATIO)) -> None:
    """Measure, and write the section."""
    check_installed()
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    asked = draw(catalog, data.memberships, [values["id"] for values in data.workspaces])
    path, text = path_of(data), str(data)
    write(_section([_measure(transport, path, asked) for transport in transports], text))


def _measure(transport: str, database: Path, asked: Iterator[Asked]) -> Measured:
    with servers.empty(transport) as bare, servers.real(database, transport) as server:
        before = Series(server.metrics)
        sample = _sample(server, asked)
        bursts = [_burst(bare, server, sample, number, CALLS[transport]) for number in range(ROUNDS + 1)]
        _verify(server, sample)
        after = Series(server.metrics)
    return Measured(transport=transport, bursts=bursts, accounted=_accounted(bursts, sample, before, after))


def _sample(server: Server, asked: Iterator[Asked]) -> Sample:
    """Ask the real stub until there are enough requests of each kind."""
    sample = Sample()
    with grpc.insecure_channel(server.address) as channel:
        stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
        while min(len(sample.allowed), len(sample.denied)) < _SAMPLED:
            request = ours(next(asked))
            answer = stub.Check(request)
            sample.asked += 1
            (sample.allowed if answer.decision == pb.DECISION_ALLOW else sample.denied).append(request)
    return sample


def _burst(bare: Server, server: Server, sample: Sample, number: int, calls: int) -> Burst:
    chosen = slice(number * CONNECTIONS, (number + 1) * CONNECTIONS)
    return {
        "empty": call(bare, _EMPTY, [Empty()] * CONNECTIONS, calls),
        "allow": call(server, CHECK, sample.allowed[chosen], calls),
        "deny": call(server, CHECK, sample.denied[chosen], calls),
    }


def _verify(server: Server, sample: Sample) -> None:
    """Ask the real stub once more; the answers must be complete and the same as before.

    Raises:
        RuntimeError: one is not.

    """
    with grpc.insecure_channel(server.address) as channel:
        stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
        for requests, decision in ((sample.allowed, pb.DECISION_ALLOW), (sample.denied, pb.DECISION_DENY)):
            for request in requests[:_SAMPLED]:
                answer = stub.Check(request)
                sample.asked += 1
                complete = answer.revision and answer.policy_version and answer.decision_id
                explained = bool(answer.denial.reason) == (decision == pb.DECISION_DENY)
                if answer.decision != decision or not complete or not explained:
                    raise RuntimeError(f"{request} was answered with {answer}")


def _accounted(bursts: Sequence[Burst], sample: Sample, before: Series, after: Series) -> str:
    """Return, in words, whether the server answered every call as it should."""
    made = {name: sum(burst[name].calls for burst in bursts) for name in ("empty", "allow", "deny")}
    failed = sum(load.failed for burst in bursts for load in burst.values())
    answered = after.since(before, "wsauthz_rpc_total", method="AuthorizationService/Check", code="OK")
    allowed = after.since(before, "wsauthz_decisions_total", outcome="allow")
    expected = made["allow"] + made["deny"] + sample.asked
    return (
        f"Calls without HTTP status 200: {failed} of {sum(made.values()):,}. Of {expected:,} Checks made the server "
        f"counted {answered:,.0f} as answered with OK, {allowed:,.0f} of them allowed; {made['allow']:,} of those made "
        f"by h2load had been allowed, {made['deny']:,} denied, when they were asked through the generated stub, and were "
        "so again at the end."
    )


def _section(found: Sequence[Measured], dataset: str) -> Section:
    names = " and ".join(measured.transport for measured in found)
    rounds = " and ".join(f"{CALLS[measured.transport]:,}" for measured in found)
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, beside a bare server of the same transport ({names}) with the same "
        f"options, no wrapper and one method from Empty to Empty. Servers on core {servers.CORE}, h2load on another, "
        f"{CONNECTIONS} connections with {STREAMS} calls at once on each, {ROUNDS} rounds of {rounds} calls of each kind "
        "in turn; ratios are of the same round."
    )
    notes = [
        f"Each connection asks one question, so a round asks {CONNECTIONS}, and its facts are in the caches; what random "
        "subjects cost in addition is in the section about decisions in process.",
        *(f"{measured.transport}: {measured.accounted}" for measured in found),
    ]
    lines = [
        line for measured in found for line in _lines(measured.transport, measured.bursts[1:])
    ]  # the first warms up
    return Section(name="check", title="Check over gRPC", intro=intro, lines=lines, notes=notes)


def _lines(transport: str, bursts: Sequence[Burst]) -> Iterator[Line]:
    per_second = {name: Rounds(values=tuple(burst[name].per_second for burst in bursts)) for name in bursts[0]}
    cpu = {name: Rounds(values=tuple(burst[name].cpu_seconds for burst in bursts)) for name in bursts[0]}
    for name, what in (("empty", "bare empty method"), ("allow", "Check, allow"), ("deny", "Check, deny")):
        yield Line(
            what=f"{transport}: {what}, calls/s and CPU time of a call",
            figure=f"{per_second[name].text(',.0f')}/s; {microseconds(cpu[name]).text('.1f')} us",
        )
    least = LEAST_RATIO[transport]
    for name in ("allow", "deny"):
        for what, ratio in (
            ("calls/s", per_second[name].over(per_second["empty"])),
            ("calls for the same CPU time", cpu["empty"].over(cpu[name])),
        ):
            yield Line(
                what=f"{transport}: Check, {name}, over the bare empty method: {what}",
                figure=f"x {ratio.text('.2f')}",
                target=f">= x {least}",
                is_met=ratio.median >= least,
            )
