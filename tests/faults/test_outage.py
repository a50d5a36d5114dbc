"""The database is gone, held up or resets connections: checks go on until the bound, writes end at once."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import psutil
import pytest
from sqlalchemy import select

from tests.faults.load import OK, Load, Told, between, seconds_until_ok, workspace_of
from tests.faults.proxy import Proxy
from tests.faults.site import target_of, through, weakened
from tests.postgres import PostgresServer
from tests.serving import BUNDLES, ServerProcess
from wsauthz.store.database import Database
from wsauthz.store.migrations import upgrade
from wsauthz.store.tables import changes, memberships, revision

KINDS: Final = ("stopped", "held", "reset")
WRITE_SECONDS: Final = 2.0
HEAL_SECONDS: Final = 2.0
POLL_SECONDS: Final = 1.5
"""How long before the outage the last poll may have been sent: the bound counts from then."""
SHORT_SECONDS: Final = 2.6
MOST_THREADS: Final = 12
"""That may come on top of those before: worker threads are made when they are needed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What was seen."""

    load: Load
    began: float
    ended: float
    bound: float
    threads: int
    """How many more there were at the end of it than before."""
    lost: int
    """Acknowledged writes that are not there."""
    revisions_missing: int

    def problems(self) -> list[str]:
        """Return what must not be, in words."""
        stale_from = self.began + self.bound
        during = between(self.load.checks, self.began, min(self.ended, stale_from - POLL_SECONDS))
        failed = [call for call in during if call.code != OK]
        found = []
        if len(failed) > len(during) / 1000:
            found.append(f"{len(failed)} of {len(during)} checks failed before the bound")
        stale = [call for call in between(self.load.checks, stale_from, self.ended) if call.code != "UNAVAILABLE"]
        if stale:
            found.append(f"{len(stale)} stale answers, {sum(call.allowed for call in stale)} of them allows")
        for name, calls in (("writes", self.load.writes), ("reads", self.load.reads)):
            tried = self.during(calls)
            slow = [call for call in tried if call.code != "UNAVAILABLE" or call.seconds > WRITE_SECONDS]
            if slow or not tried:
                worst = max((call.seconds for call in tried), default=0)
                found.append(f"{len(slow)} of {len(tried)} {name} were slow or no UNAVAILABLE, worst {worst:.2f} s")
        for name, seconds in self.recovery().items():
            if seconds > HEAL_SECONDS:
                found.append(f"{name} were back after {seconds:.2f} s")
        if self.threads > MOST_THREADS:
            found.append(f"{self.threads} threads more")
        if self.lost or self.revisions_missing:
            found.append(f"{self.lost} acknowledged writes lost, {self.revisions_missing} revisions without a change")
        return found

    def during(self, calls: list[Told]) -> list[Told]:
        """Return the calls that must have noticed: not answered when it began, and sent long enough before its end."""
        return [call for call in calls if call.answered > self.began + 0.1 and call.sent < self.ended - WRITE_SECONDS]

    def recovery(self) -> dict[str, float]:
        """Return after how many seconds what was back."""
        calls = {"checks": self.load.checks, "writes": self.load.writes}
        return {name: seconds_until_ok(told, self.ended) for name, told in calls.items()}

    def figures(self) -> str:
        """Return what was seen in a line."""
        during = between(self.load.checks, self.began, self.ended)
        writes = self.during(self.load.writes)
        back = ", ".join(f"{name} back after {seconds:.2f} s" for name, seconds in self.recovery().items())
        return (
            f"bound {self.bound:g} s, outage {self.ended - self.began:.1f} s: {len(during)} checks, "
            f"{sum(call.code == OK for call in during)} OK; {len(writes)} writes, "
            f"worst {max(call.seconds for call in writes):.2f} s; {back}; {self.threads:+d} threads"
        )


def outage(kind: str, url: str, *, bound: float, seconds: float, without: str = "") -> Outage:
    """Take the database away for a while, under load."""
    with ExitStack() as stack:
        server = None
        if kind == "stopped":
            server = stack.enter_context(PostgresServer())
            url = server.url()
            upgrade(url)
        proxy = stack.enter_context(Proxy(target_of(url)))
        settings = {"WSAUTHZ_STALE_SECONDS": str(bound), "WSAUTHZ_POLL_SECONDS": "0.5", **weakened(without)}
        process = stack.enter_context(ServerProcess(through(proxy, url), BUNDLES / "dam", **settings))
        load = Load(process, workspace_of(process.client("ann")))
        with load.running():
            time.sleep(0.5)
            before = threads(process)
            with fault(kind, server, proxy) as times:
                time.sleep(seconds)
                more = threads(process) - before
            time.sleep(HEAL_SECONDS + 0.5)
        lost, missing = compare(url, load)
        return Outage(
            load=load, began=times[0], ended=times[-1], bound=bound, threads=more, lost=lost, revisions_missing=missing
        )


@contextmanager
def fault(kind: str, server: PostgresServer | None, proxy: Proxy) -> Iterator[list[float]]:
    """Have the database gone within the block; the list has when it was gone and, at last, when it was back."""
    if server is not None:
        server.kill()
    else:
        proxy.mode = "hold" if kind == "held" else "reset"
    times = [time.monotonic()]
    yield times
    if server is not None:
        server.start()
    else:
        proxy.mode = "pass"
    times.append(time.monotonic())


def threads(process: ServerProcess) -> int:
    """Return how many threads a server has."""
    assert process.process is not None
    return int(psutil.Process(process.process.pid).num_threads())


def compare(url: str, load: Load) -> tuple[int, int]:
    """Return how many acknowledged writes are not there, and how many revisions have no change."""
    database = Database(url)
    try:
        with database.read() as connection:
            there = set(connection.execute(select(memberships.c.user_id)).scalars())
            value = connection.execute(select(revision.c.value)).scalar_one()
            told = set(connection.execute(select(changes.c.revision)).scalars())
    finally:
        database.close()
    return len(load.acknowledged - there), len(set(range(1, value + 1)) - told)


@pytest.mark.parametrize(("kind", "bound"), [("held", 30.0), ("reset", 1.0)])
def test_a_short_outage(postgresql_url: str, kind: str, bound: float) -> None:
    assert outage(kind, postgresql_url, bound=bound, seconds=SHORT_SECONDS).problems() == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("protection", "kind", "sign"),
    [("staleness", "reset", "stale answers"), ("cutting-off", "held", "were slow")],
)
def test_without_its_protection_an_outage_goes_wrong(
    postgresql_url: str, protection: str, kind: str, sign: str
) -> None:
    problems = outage(kind, postgresql_url, bound=1.0, seconds=SHORT_SECONDS, without=protection).problems()
    assert any(sign in problem for problem in problems), problems


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bound", [30.0, 5.0])
@pytest.mark.parametrize("run", [1, 2])
def test_an_outage_of_twenty_seconds(
    postgresql_url: str, kind: str, bound: float, run: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = outage(kind, postgresql_url, bound=bound, seconds=20)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}, run {run}: {found.figures()}\n")
    assert found.problems() == []
