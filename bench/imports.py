"""How fast memberships are imported into PostgreSQL: the whole command, and the part that writes."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bench import policies, postgresql
from bench.dataset import Dataset, make
from bench.measure import Rounds
from bench.processes import WSAUTHZ
from bench.report import Line, Section, write
from tests.postgres import PostgresServer, connect
from wsauthz.model.memberships import Membership
from wsauthz.store import bulk
from wsauthz.store.database import Database
from wsauthz.store.rows import batches

MEMBERSHIPS: Final = 100_000
ROUNDS: Final = 5
LEAST_PER_SECOND: Final = 20_000


def run() -> None:
    """Measure, and write the section."""
    data = make(policies.bundle().catalog, MEMBERSHIPS)
    with postgresql.running() as database, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in _records(data))
        commands = [_command(database, path, number) for number in range(2)]
        parts = _parts(database, data)
    write(_section(commands, parts, str(data)))


def _records(data: Dataset) -> Iterator[dict[str, Any]]:
    """Yield the data set as records of a state file."""
    for values in data.organizations:
        yield {"kind": "organization", **values}
    for values in data.workspaces:
        yield {
            "kind": "workspace",
            "id": values["id"],
            "organization": values["organization_id"] if values["parent_workspace_id"] is None else None,
            "parent": values["parent_workspace_id"],
            "owner": values["owner_user_id"],
            "is_active": values["is_active"],
            "modules": values["modules"],
        }
    for values in data.users:
        yield {"kind": "user", **values}
    for values in data.memberships:
        if values["workspace_id"] is not None:
            keys = ("role", "permissions", "is_active")
            yield {"kind": "membership", "workspace": values["workspace_id"], "user": values["user_id"]} | {
                key: values[key] for key in keys
            }


def _command(database: PostgresServer, path: Path, number: int) -> tuple[float, int]:
    """Return how long `wsauthz import` takes into an empty database, and how many memberships there are then."""
    url = postgresql.create(database, f"command{number}")
    began = time.perf_counter()
    command = [WSAUTHZ, "import", str(path), "--database", url, "--policy", str(policies.DIRECTORY)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    seconds = time.perf_counter() - began
    with connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM memberships").fetchone()
    return seconds, int(row[0]) if row else 0


def _parts(database: PostgresServer, data: Dataset) -> list[tuple[float, float, float]]:
    """Return, for writing all memberships again: how many a second, and CPU microseconds here and in PostgreSQL for one."""
    url = postgresql.create(database, "parts", data)
    found = []
    with closing(Database(url, wait_seconds=60)) as opened:
        with opened.read() as connection:
            nouns: list[Membership] = list(bulk.memberships_by_place(connection))
        for _ in range(ROUNDS + 1):
            with connect(url, autocommit=True) as plain:
                plain.execute("TRUNCATE memberships")
            with opened.write() as connection:
                driver: Any = connection.connection.driver_connection
                there = Path(f"/proc/{driver.info.backend_pid}/schedstat")
                began, cpu, its = time.perf_counter(), time.process_time(), _cpu_seconds(there)
                for some in batches(nouns):
                    bulk.add(connection, some)
            seconds, cpu, its = time.perf_counter() - began, time.process_time() - cpu, _cpu_seconds(there) - its
            found.append((len(nouns) / seconds, cpu / len(nouns) * 1e6, its / len(nouns) * 1e6))
    return found[1:]


def _cpu_seconds(schedstat: Path) -> float:
    return int(schedstat.read_text(encoding="ascii").split()[0]) / 1e9


def _section(commands: list[tuple[float, int]], parts: list[tuple[float, float, float]], dataset: str) -> Section:
    per_second, cpu, its = (Rounds(values=values) for values in zip(*parts, strict=True))
    whole = Rounds(values=tuple(count / seconds for seconds, count in commands))
    seconds = Rounds(values=tuple(seconds for seconds, _ in commands))
    lines = [
        Line(
            what="memberships written, with their commit, by the clock",
            figure=f"{per_second.text(',.0f')}/s",
            target=f">= {LEAST_PER_SECOND:,}/s",
            is_met=per_second.median >= LEAST_PER_SECOND,
        ),
        Line(
            what="CPU time for each of them, in the writer and in PostgreSQL; by both together, one after the other",
            figure=f"{cpu.text('.1f')} us and {its.text('.1f')} us; {1e6 / (cpu.median + its.median):,.0f}/s",
        ),
        Line(
            what="`wsauthz import` of everything from JSON Lines: seconds; memberships in the end, /s",
            figure=f"{seconds.text('.1f')} s; {whole.text(',.0f')}/s",
        ),
    ]
    intro = (
        f"Into PostgreSQL: {dataset}. First the part that writes memberships (`store/bulk.py`), with every index and foreign "
        f"key in place, {ROUNDS} rounds; then the command as a whole, which reads and checks each record, writes users and "
        "workspaces too, and adds everybody in a workspace of an organization to that."
    )
    return Section(name="imports", title="Imports", intro=intro, lines=lines)
