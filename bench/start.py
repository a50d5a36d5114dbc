"""What a membership costs in memory, and how long a server takes to start with them, on SQLite and on PostgreSQL."""

import compileall
import sysconfig
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import wsauthz
from bench import charts, policies, postgresql, processes, servers
from bench.database import path_of
from bench.dataset import make
from bench.measure import Rounds
from bench.report import Line, Section, write

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
POSTGRESQL_SIZES: Final = (10_000, 1_000_000)
ROUNDS: Final = 3
MOST_BYTES: Final = 400
MOST_SECONDS: Final = {("SQLite", 10_000): 2.0, ("PostgreSQL", 1_000_000): 15.0}

Case = tuple[str, int]
"""A database and a number of memberships."""


def run() -> None:
    """Measure, and write the section."""
    _compile()
    urls: dict[Case, str] = {}
    largest = ""
    seconds: dict[Case, list[float]] = {}
    cpu: dict[Case, list[float]] = {}
    resident: dict[Case, list[float]] = {}
    with ExitStack() as stack:
        database = stack.enter_context(postgresql.running())
        for size in SIZES:
            data = make(policies.bundle().catalog, size)
            urls["SQLite", size], largest = f"sqlite:///{path_of(data)}", str(data)
            if size in POSTGRESQL_SIZES:
                urls["PostgreSQL", size] = postgresql.create(database, f"start{size}", data)
            del data
        for _ in range(ROUNDS):
            for case, url in urls.items():
                with processes.serving(url) as server:
                    seconds.setdefault(case, []).append(server.seconds)
                    cpu.setdefault(case, []).append(server.cpu_seconds())
                    resident.setdefault(case, []).append(server.resident_bytes())
    _draw(_rounds(seconds), _rounds(resident))
    write(_section(_rounds(seconds), _rounds(cpu), _rounds(resident), largest))


def _compile() -> None:
    """Have every module compiled, as pip leaves an installation; an environment may have been told not to."""
    for folder in (sysconfig.get_path("purelib"), str(Path(wsauthz.__file__).parent)):
        compileall.compile_dir(folder, quiet=2)


def _rounds(taken: dict[Case, list[float]]) -> dict[Case, Rounds]:
    return {case: Rounds(values=tuple(values)) for case, values in taken.items()}


def _draw(seconds: dict[Case, Rounds], resident: dict[Case, Rounds]) -> None:
    names = sorted({name for name, _ in seconds})
    charts.draw(
        "start",
        "Seconds from starting a server until it serves",
        "memberships",
        {name: {size: found.median for (of, size), found in seconds.items() if of == name} for name in names},
    )
    memory = {size: found.median / 2**20 for (name, size), found in resident.items() if name == "SQLite"}
    charts.draw("memory", "Resident memory of a server, MiB", "memberships", {"SQLite": memory})


def _section(
    seconds: dict[Case, Rounds], cpu: dict[Case, Rounds], resident: dict[Case, Rounds], largest: str
) -> Section:
    few, many = SIZES[0], SIZES[-1]
    pairs = zip(resident["SQLite", few].values, resident["SQLite", many].values, strict=True)
    each = Rounds(values=tuple((high - low) / (many - few) for low, high in pairs))
    lines = [
        Line(
            what=f"start with {case[1]:,} memberships on {case[0]}",
            figure=f"{found.text('.2f')} s; {cpu[case].text('.2f')} s of CPU time",
            target=f"<= {MOST_SECONDS[case]:g} s" if case in MOST_SECONDS else "",
            is_met=found.median <= MOST_SECONDS[case] if case in MOST_SECONDS else None,
        )
        for case, found in seconds.items()
    ]
    lines += [
        Line(
            what=f"resident with {size:,} memberships, SQLite",
            figure=f"{resident['SQLite', size].each(_mebibytes).text(',.0f')} MiB",
        )
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
        f"From starting `wsauthz serve`, on core {servers.CORE}, until its health service says SERVING, and what it has resident "
        f"then, {ROUNDS} rounds; modules are compiled, as an installation by pip leaves them. The largest database has {largest}."
    )
    notes = ["![seconds until a server serves](../docs/charts/start.svg) ![resident memory](../docs/charts/memory.svg)"]
    return Section(name="start", title="Start and memory", intro=intro, lines=lines, notes=notes)


def _mebibytes(size: float) -> float:
    return size / 2**20
