"""What a server still does with ten times the connections of its peak load, each with as many calls at once as before."""

import threading
import time
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench import policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.load import CONNECTIONS, STREAMS, call, check_installed
from bench.measure import Rounds
from bench.questions import CHECK, draw, ours
from bench.report import Line, Section, write
from bench.series import Series
from bench.servers import Server

MEMBERSHIPS: Final = 100_000
ROUNDS: Final = 5
TIMES: Final = 10
CALLS: Final = {"grpcio": 24_000, "native": 72_000}
"""At peak, by transport; twice as many in overload."""
SECONDS: Final = 5
"""The deadline of every call."""
LEAST_RATIO: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found out about one transport."""

    transport: str
    peak: Rounds
    over: Rounds
    health: Rounds
    """The longest that the health service took to answer in each round of overload, in seconds."""
    sent: int
    good: int
    """How many of those sent in overload were answered with OK."""


class Health:
    """Asks for the server's health again and again within a block; one that is refused ends the benchmark."""

    def __init__(self, server: Server) -> None:
        self.longest = 0.0
        self._refused: grpc.RpcError | None = None
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._refused is not None:
            raise self._refused

    def _ask(self) -> None:
        with grpc.insecure_channel(self._server.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while not self._stop.wait(0.1):
                began = time.perf_counter()
                try:
                    stub.Check(health_pb2.HealthCheckRequest(), timeout=2 * SECONDS)
                except grpc.RpcError as error:
                    self._refused = error
                    return
                self.longest = max(self.longest, time.perf_counter() - began)


def run() -> None:
    """Measure, and write the section."""
    check_installed()
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    asked = draw(catalog, data.memberships, [values["id"] for values in data.workspaces])
    messages = [ours(one) for one in islice(asked, CONNECTIONS * TIMES)]
    found = []
    for transport in CALLS:
        with servers.real(path_of(data), transport) as server:
            found.append(_measure(transport, server, messages))
    write(_section(found, str(data)))


def _measure(transport: str, server: Server, messages: list[Any]) -> Measured:
    calls = CALLS[transport]
    call(server, CHECK, messages[:CONNECTIONS], calls)
    peak, good, longest = [], [], []
    sent = answered = 0
    for _ in range(ROUNDS):
        peak.append(call(server, CHECK, messages[:CONNECTIONS], calls, seconds=SECONDS).per_second)
        before = Series(server.metrics)
        with Health(server) as health:
            over = call(server, CHECK, messages, 2 * calls, seconds=SECONDS)
        ok = Series(server.metrics).since(before, "wsauthz_rpc_total", method="AuthorizationService/Check", code="OK")
        good.append(over.per_second * ok / over.calls)
        longest.append(health.longest)
        sent, answered = sent + over.calls, answered + round(ok)
    return Measured(
        transport=transport,
        peak=Rounds(values=tuple(peak)),
        over=Rounds(values=tuple(good)),
        health=Rounds(values=tuple(longest)),
        sent=sent,
        good=answered,
    )


def _section(found: list[Measured], dataset: str) -> Section:
    lines = []
    for each in found:
        ratio = each.over.over(each.peak)
        lines += [
            Line(what=f"{CONNECTIONS} connections, {each.transport}, calls/s", figure=each.peak.text(",.0f")),
            Line(what=f"{CONNECTIONS * TIMES} connections, calls/s answered with OK", figure=each.over.text(",.0f")),
            Line(
                what=f"{TIMES} times the connections over those at peak, {each.transport}",
                figure=f"x {ratio.text('.2f')}",
                target=f">= x {LEAST_RATIO:g}",
                is_met=ratio.median >= LEAST_RATIO,
            ),
            Line(
                what=f"calls of {each.sent:,} not answered with OK within {SECONDS} s, {each.transport}",
                figure=f"{each.sent - each.good:,}",
                target="0",
                is_met=each.sent == each.good,
            ),
            Line(what="the longest that health took to answer", figure=f"{each.health.text('.2f')} s"),
        ]
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, on core {servers.CORE}, h2load on another: in each of {ROUNDS} rounds "
        f"first {CONNECTIONS} connections, then {CONNECTIONS * TIMES}, with {STREAMS} calls at once on each, as fast as they "
        f"are answered, each with a deadline of {SECONDS} s. What was answered with OK is counted by the server."
    )
    return Section(name="overload", title="Ten times the load", intro=intro, lines=lines, notes=[])
