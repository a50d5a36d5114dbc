"""How long a Check takes while a server is half as busy as it can be."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from math import ceil
from pathlib import Path
from statistics import quantiles
from typing import Final

from google.protobuf.message import Message

from bench import policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.load import CONNECTIONS, CORE, STREAMS, call, check_installed, framed
from bench.measure import Rounds
from bench.questions import CHECK, draw, ours
from bench.report import Line, Section, write
from bench.servers import Server

MEMBERSHIPS: Final = 1_000_000
ROUNDS: Final = 9
PEAK_CALLS: Final = {"grpcio": 12_000, "native": 60_000}
SECONDS: Final = 5
MOST_MILLISECONDS: Final = {"grpcio": 5.0, "native": 2.0}
"""p99, by transport."""
MOST_EACH: Final = 100
"""Calls a second of one connection. h2load looks at its clock every 10 ms and makes up then for what is due: with more, and
with connections that all begin at once, calls come in volleys, and what is measured is how long a volley takes."""

Taken = tuple[float, float, float, float, float]
"""Calls/s at peak; p50, p99 and p99.9 in milliseconds at half of that; calls/s then."""


def run() -> None:
    """Measure, and write the section."""
    check_installed()
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    asked = draw(catalog, data.memberships, [values["id"] for values in data.workspaces])
    messages = [ours(one) for one in islice(asked, CONNECTIONS * (ROUNDS + 1))]
    write(_section({transport: _measure(transport, path_of(data), messages) for transport in PEAK_CALLS}, str(data)))


def _measure(transport: str, database: Path, messages: Sequence[Message]) -> list[Taken]:
    found = []
    with servers.real(database, transport) as server:
        for number in range(ROUNDS + 1):
            some = messages[number * CONNECTIONS : (number + 1) * CONNECTIONS]
            peak = call(server, CHECK, some, PEAK_CALLS[transport]).per_second
            found.append((peak, *_paced(server, some[0], peak / 2)))
    return found[1:]


def _paced(server: Server, message: Message, per_second: float) -> tuple[float, float, float, float]:
    """Return p50, p99 and p99.9 in milliseconds at about so many calls a second, and how many there really were."""
    connections = ceil(per_second / MOST_EACH)
    each = round(per_second / connections)
    count = each * connections * SECONDS
    with tempfile.TemporaryDirectory() as folder:
        frame, log = Path(folder) / "frame", Path(folder) / "log"
        frame.write_bytes(framed(message))
        command = ["taskset", "-c", str(CORE), "h2load", "-c", str(connections), "-m", str(STREAMS), "-n", str(count)]
        command += [
            "--rps",
            str(each),
            "--rate",
            str(ceil(connections / 10)),  # begun every millisecond, so that they are spread over those ten
            "--rate-period",
            "1ms",
            "--log-file",
            str(log),
            "-H",
            "content-type: application/grpc",
            "-H",
            "te: trailers",
        ]
        subprocess.run(
            [*command, "-d", str(frame), f"http://{server.address}/{CHECK}"], check=True, capture_output=True
        )
        rows = [line.split("\t") for line in log.read_text(encoding="ascii").splitlines()]
    if any(row[1] != "200" for row in rows) or len(rows) != count:
        raise RuntimeError(f"{count} calls, {len(rows)} answers, not all of them 200")
    began = [int(row[0]) for row in rows]
    cuts = quantiles((int(row[2]) / 1e3 for row in rows), n=1000)
    return cuts[499], cuts[989], cuts[998], len(rows) / ((max(began) - min(began)) / 1e6)


def _lines(transport: str, found: Sequence[Taken]) -> list[Line]:
    peak, p50, p99, p999, paced = (Rounds(values=values) for values in zip(*found, strict=True))
    most = MOST_MILLISECONDS[transport]
    return [
        Line(what=f"{transport}: at peak, calls/s", figure=peak.text(",.0f")),
        Line(what=f"{transport}: at half of that, calls/s", figure=paced.text(",.0f")),
        Line(what=f"{transport}: p50 at half of peak load", figure=f"{p50.text('.2f')} ms"),
        Line(
            what=f"{transport}: p99 at half of peak load",
            figure=f"{p99.text('.2f')} ms",
            target=f"<= {most:g} ms",
            is_met=p99.median <= most,
        ),
        Line(what=f"{transport}: p99.9 at half of peak load", figure=f"{p999.text('.2f')} ms"),
    ]


def _section(found: Mapping[str, Sequence[Taken]], dataset: str) -> Section:
    lines = [line for transport, taken in found.items() for line in _lines(transport, taken)]
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, on core {servers.CORE}, h2load on another: in each of {ROUNDS} rounds first "
        f"as many Checks as the server can take ({CONNECTIONS} connections, {STREAMS} at once on each), then half as many a second "
        f"for {SECONDS} seconds, evenly spread over connections with at most {MOST_EACH} calls a second, whose times h2load logs one "
        "by one."
    )
    notes = ["The generator shares its core with whatever else the machine does; what it waits for a core counts here."]
    return Section(name="latency", title="Latency at half of peak load", intro=intro, lines=lines, notes=notes)
