"""What a membership costs in memory, and how long a server takes to start with them, on SQLite."""

from pathlib import Path
from typing import Final

from bench import policies, servers
from bench.database import path_of
from bench.dataset import make
from bench.measure import Rounds
from bench.report import Line, Section, write

SIZES: Final = (1_000, 10_000, 1_000_000)
ROUNDS: Final = 3
MOST_BYTES: Final = 400
MOST_SECONDS: Final = {10_000: 2.0}


def run() -> None:
    """Measure, and write the section."""
    paths: dict[int, Path] = {}
    largest = ""
    for size in SIZES:
        data = make(policies.bundle().catalog, size)
        paths[size], largest = path_of(data), str(data)
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    resident: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for size, path in paths.items():
            with servers.real(path) as server:
                seconds[size].append(server.seconds)
                resident[size].append(server.resident_bytes())
    write(_section(_rounds(seconds), _rounds(resident), largest))


def _rounds(taken: dict[int, list[float]]) -> dict[int, Rounds]:
    return {size: Rounds(values=tuple(values)) for size, values in taken.items()}


def _section(seconds: dict[int, Rounds], resident: dict[int, Rounds], largest: str) -> Section:
    few, many = SIZES[0], SIZES[-1]
    pairs = zip(resident[few].values, resident[many].values, strict=True)
    each = Rounds(values=tuple((high - low) / (many - few) for low, high in pairs))
    lines = [
        Line(
            what=f"start with {size:,} memberships",
            figure=f"{seconds[size].text('.2f')} s",
            target=f"<= {MOST_SECONDS[size]:g} s" if size in MOST_SECONDS else "",
            is_met=seconds[size].median <= MOST_SECONDS[size] if size in MOST_SECONDS else None,
        )
        for size in SIZES
    ]
    lines += [
        Line(what=f"resident with {size:,} memberships", figure=f"{resident[size].each(_mebibytes).text(',.0f')} MiB")
        for size in (few, many)
    ]
    lines.append(
        Line(
            what="resident bytes for each membership, with its share of users, workspaces and organizations",
            figure=each.text(",.0f"),
            target=f"<= {MOST_BYTES}",
            is_met=each.median <= MOST_BYTES,
        )
    )
    intro = (
        f"From starting `wsauthz serve` on an SQLite file, on core {servers.CORE}, until its health service says SERVING, and "
        f"what it has resident then, {ROUNDS} rounds. The largest file has {largest}."
    )
    return Section(name="start", title="Start and memory", intro=intro, lines=lines)


def _mebibytes(size: float) -> float:
    return size / 2**20
