"""A server that does a bit of everything for a long time, at half of what it can do: nothing fails and nothing grows.

The long form takes WSAUTHZ_SOAK_MINUTES, by default an hour; what was measured is printed.
"""

import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Final

import grpc
import psutil
import pytest
import sqlalchemy
from sqlalchemy import create_engine, text

from tests.serving import BUNDLES, Client, ServerProcess
from wsauthz.v1 import authorization_pb2, memberships_pb2, users_pb2, watch_pb2, workspaces_pb2

WORKERS: Final = 6
WORKSPACES: Final = 20
USERS: Final = 200
FEW_USERS: Final = 60
ROLES: Final = ("admin", "member", "viewer")
REMOVING: Final = 0.5
MEBIBYTE: Final = 1 << 20

ASKED: Final = {"check": 80, "batch": 5, "lookup": 3, "list": 2, "write": 9, "watch": 1}
"""The kinds of calls, and how often of a hundred."""


_CONNECTIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one look at the server process and its database found."""

    memory: int
    """Resident, in bytes."""
    threads: int
    files: int
    connections: int


@dataclass(slots=True)
class Site:
    """A server process with workspaces and users, and callers of it."""

    process: ServerProcess
    workspaces: list[str]
    users: int
    failed: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    members: set[tuple[str, str]] = field(default_factory=set)

    def call_for(self, seconds: float, *, per_second: float = 0.0) -> float:
        """Call from all workers, together at a rate (0: as fast as they are answered); return calls per second."""
        before, began = self.done.total(), time.monotonic()
        pause = WORKERS / per_second if per_second else 0.0
        with ThreadPoolExecutor(WORKERS) as pool:
            for each in [pool.submit(self._work, number, began + seconds, pause) for number in range(WORKERS)]:
                each.result()
        return (self.done.total() - before) / (time.monotonic() - began)

    def _work(self, number: int, until: float, pause: float) -> None:
        chance = random.Random(number)
        with grpc.insecure_channel(self.process.address) as channel:
            client = Client(channel, "ann")
            calls = {kind: getattr(self, f"_{kind}") for kind in ASKED}
            first = list(ASKED)  # each kind at least once, however short the time
            due = time.monotonic()
            while first or time.monotonic() < until:
                kind = first.pop() if first else chance.choices(list(ASKED), weights=list(ASKED.values()))[0]
                self._tried(kind, partial(calls[kind], client, chance, number))
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))

    def _tried(self, kind: str, call: Callable[[], Any]) -> None:
        try:
            call()
        except grpc.RpcError as error:
            failed: Any = error
            self.failed[f"{kind}: {failed.code().name} {failed.details()}"] += 1
        else:
            self.done[kind] += 1

    def _question(self, chance: random.Random) -> dict[str, Any]:
        return {"subject": f"user{chance.randrange(self.users)}", "resource": "dam:asset", "action": "read"}

    def _check(self, client: Client, chance: random.Random, _: int) -> None:
        asked = authorization_pb2.CheckRequest(workspace_id=chance.choice(self.workspaces), **self._question(chance))
        client.authorization.Check(asked)

    def _batch(self, client: Client, chance: random.Random, __: int) -> None:
        asked, user = authorization_pb2.BatchCheckRequest(), f"user{chance.randrange(self.users)}"
        for _ in range(20):
            item = asked.items.add(subject=user, workspace_id=chance.choice(self.workspaces), resource="dam:asset")
            item.actions.extend(("read", "update", "delete"))
        client.authorization.BatchCheck(asked)

    def _lookup(self, client: Client, chance: random.Random, _: int) -> None:
        client.authorization.LookupWorkspaces(authorization_pb2.LookupWorkspacesRequest(**self._question(chance)))

    def _list(self, client: Client, chance: random.Random, _: int) -> None:
        asked = memberships_pb2.ListMembersRequest(workspace_id=chance.choice(self.workspaces), page_size=20)
        client.memberships.ListMembers(asked)

    def _write(self, client: Client, chance: random.Random, number: int) -> None:
        """Add somebody whom no other worker has, or change or remove who is there: nothing that is refused."""
        user = f"user{chance.randrange(self.users // WORKERS) * WORKERS + number}"
        workspace = chance.choice(self.workspaces)
        place: dict[str, Any] = {"workspace_id": workspace, "user_id": user}
        if (workspace, user) not in self.members:
            client.memberships.AddMember(memberships_pb2.AddMemberRequest(role=chance.choice(ROLES), **place))
            self.members.add((workspace, user))
        elif chance.random() < REMOVING:
            client.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(**place))
            self.members.discard((workspace, user))
        else:
            changed = memberships_pb2.UpdateMemberRequest(role=chance.choice(ROLES), **place)
            changed.update_mask.paths.append("role")
            client.memberships.UpdateMember(changed)

    def _watch(self, client: Client, _: random.Random, __: int) -> None:
        """Open a stream, read what comes first, and go."""
        stream = client.authorization.Watch(watch_pb2.WatchRequest())
        next(iter(stream))
        stream.cancel()


@contextmanager
def site(database_url: str, users: int) -> Iterator[Site]:
    """Serve some workspaces with members; writes are not held back, so that there are many."""
    with ServerProcess(database_url, BUNDLES / "dam") as process:
        ann = process.client("ann")
        for user in ("ann", *(f"user{number}" for number in range(users))):
            ann.users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user))
        made = [
            ann.workspaces.CreateWorkspace(workspaces_pb2.CreateWorkspaceRequest(name=f"Studio {number}"))
            for number in range(WORKSPACES)
        ]
        yield Site(process, [each.workspace.id for each in made], users)


def look(found: Site, database: sqlalchemy.Engine | None) -> Sample:
    """Look at the process, and at what it has open."""
    assert found.process.process is not None
    process = psutil.Process(found.process.process.pid)
    connections = 0
    if database is not None:
        with database.connect() as connection:
            connections = connection.execute(text(_CONNECTIONS)).scalar_one()
    with process.oneshot():
        return Sample(
            memory=process.memory_info().rss,
            threads=process.num_threads(),
            files=process.num_fds(),
            connections=connections,
        )


def run(
    database_url: str, *, warm: float, seconds: float, every: float, users: int = USERS
) -> tuple[Site, float, list[Sample]]:
    """Find what the server can do in ``warm`` seconds, then call it half as often; return looks at it meanwhile."""
    database = create_engine(database_url) if database_url.startswith("postgresql") else None
    with site(database_url, users) as found:
        found.call_for(warm)
        peak = found.call_for(warm)
        samples = []
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(found.call_for, seconds, per_second=peak / 2)
            while not calling.done():
                time.sleep(every)
                samples.append(look(found, database))
            rate = calling.result()
    if database is not None:
        database.dispose()
    return found, rate, samples


def growth(samples: list[Sample], of: Callable[[Sample], int]) -> tuple[float, float]:
    """Return the median of the second quarter of the time, after caches have filled, and of the last."""
    quarter = len(samples) // 4
    return (
        statistics.median(of(each) for each in samples[quarter : 2 * quarter]),
        statistics.median(of(each) for each in samples[-quarter:]),
    )


def test_a_bit_of_everything_for_a_while_fails_nowhere(database_url: str) -> None:
    found, _, _ = run(database_url, warm=0.3, seconds=1.2, every=0.5, users=FEW_USERS)
    assert not found.failed
    assert set(found.done) == set(ASKED)


@pytest.mark.soak
@pytest.mark.timeout(2 * 3600)
def test_a_bit_of_everything_for_long_fails_nowhere_and_nothing_grows(
    postgresql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = float(os.environ.get("WSAUTHZ_SOAK_MINUTES", "60"))
    found, rate, samples = run(postgresql_url, warm=10, seconds=minutes * 60, every=minutes * 60 / 120)
    memory, threads, files, connections = (
        growth(samples, attrgetter(name)) for name in ("memory", "threads", "files", "connections")
    )
    with capsys.disabled():
        sys.stdout.write(
            f"\n{minutes:g} minutes, {rate:.0f} calls/s, {found.done.total()} calls ({dict(found.done)}), failed:"
            f" {dict(found.failed)}; second quarter -> last: memory {memory[0] / MEBIBYTE:.1f} -> "
            f"{memory[1] / MEBIBYTE:.1f} MiB, threads {threads[0]:g} -> {threads[1]:g}, files {files[0]:g} -> "
            f"{files[1]:g}, connections {connections[0]:g} -> {connections[1]:g}\n"
        )
    assert not found.failed
    assert memory[1] < memory[0] * 1.05 + 2 * MEBIBYTE
    assert threads[1] <= threads[0] + 1
    assert files[1] <= files[0] + 2
    assert connections[1] <= connections[0] + 1
