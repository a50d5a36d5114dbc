"""What is left in memory of a million names that nobody knows."""

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from bench import policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.load import CORE
from bench.report import Line, Section, write
from bench.servers import Server
from wsauthz.v1 import authorization_pb2 as pb

MEMBERSHIPS: Final = 10_000
SINGLE: Final = 40_000
"""Of each million, asked by Check; the others by BatchCheck."""
BATCH: Final = 100
MOST_GROWTH: Final = 50.0
MOST_LATER: Final = 5.0
"""Mebibytes: what counts as flat."""
_SERVICE: Final = "wsauthz.v1.AuthorizationService"


def run() -> None:
    """Measure, and write the section."""
    data = make(policies.bundle().catalog, MEMBERSHIPS)
    known = [values["id"] for values in data.workspaces[:100]]
    with servers.real(path_of(data)) as server:
        _ask(server, known, BATCH * 20, 2_000)  # so that what every server needs is there
        resident = [server.resident_bytes()]
        for _ in range(3):
            _ask(server, known, 1_000_000 - SINGLE, SINGLE)
            resident.append(server.resident_bytes())
    write(_section([size / 2**20 for size in resident], str(data)))


def _ask(server: Server, known: list[str], batched: int, single: int) -> None:
    """Ask about so many users, half of them in workspaces that nobody knows either."""
    names = _names()
    places = (next(names) if number % 2 else known[number % len(known)] for number in range(batched + single))
    kinds = ("event", "view")
    _pump(
        server,
        "Check",
        (
            pb.CheckRequest(
                subject=next(names), workspace_id=next(places), resource=f"{kinds[0]}/{next(names)}", action=kinds[1]
            )
            for _ in range(single)
        ),
    )
    _pump(
        server,
        "BatchCheck",
        (
            pb.BatchCheckRequest(
                items=[
                    pb.BatchCheckItem(
                        subject=next(names),
                        workspace_id=next(places),
                        resource=f"{kinds[0]}/{next(names)}",
                        actions=[kinds[1]],
                    )
                    for _ in range(BATCH)
                ]
            )
            for _ in range(batched // BATCH)
        ),
        streams=1,
    )


def _names() -> Iterator[str]:
    while True:
        yield f"nobody_{secrets.token_hex(8)}"


def _pump(server: Server, method: str, requests: Iterator[Message], streams: int = 8) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests"
        with file.open("wb") as output:
            for request in requests:
                body = request.SerializeToString()
                output.write(len(body).to_bytes(4, "big") + body)
        command = [
            sys.executable,
            "-m",
            "bench.pump",
            server.address,
            f"{_SERVICE}/{method}",
            str(file),
            "4",
            str(streams),
        ]
        subprocess.run(["taskset", "-c", str(CORE), *command], check=True, stdout=subprocess.DEVNULL)


def _section(resident: list[float], dataset: str) -> Section:
    growth = resident[1] - resident[0]
    later = (resident[3] - resident[1]) / 2  # single steps go up and down with what the allocator has just given back
    lines = [
        Line(what="resident before", figure=f"{resident[0]:.1f} MiB"),
        Line(
            what="growth by the first million unknown names",
            figure=f"{growth:.1f} MiB",
            target=f"<= {MOST_GROWTH:g} MB",
            is_met=growth * 2**20 <= MOST_GROWTH * 1e6,
        ),
        Line(
            what="growth by each of the second and third million, on average",
            figure=f"{later:.1f} MiB",
            target=f"flat: <= {MOST_LATER:g} MiB",
            is_met=later <= MOST_LATER,
        ),
    ]
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, asked about a million users that are in no table, each about an object of "
        f"its own, every other one in a workspace that does not exist; {SINGLE:,} of them by Check, the others by BatchCheck. "
        "Then about two million more."
    )
    return Section(name="names", title="Unknown names", intro=intro, lines=lines)
