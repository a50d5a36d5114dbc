"""Every Prometheus series of a server on one page.

Counting on the hot path is adding to plain integers; they become series when somebody scrapes. No ids in labels.
"""

import asyncio
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BUCKETS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds in seconds."""
_LOOK_SECONDS: Final = 1.0

background_ends: Final[Counter[str]] = Counter()
"""Name -> how often a task or thread that runs in the background has ended before it was stopped; of the process."""


class Histogram:
    """Counts by upper bound; adding costs a bisection."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Sequence[tuple[str, float]]:
        """Return cumulated counts by upper bound, as Prometheus wants them."""
        cumulated = 0
        buckets = []
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self.counts, strict=True):
            cumulated += count
            buckets.append((bound, float(cumulated)))
        return buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What a replica holds at the moment of a scrape."""

    revision: int
    revision_age_seconds: float
    """Since the database was last heard."""
    ready: bool
    facts: Mapping[str, int]
    """Kind -> how many."""
    workspaces: Mapping[str, int]
    """Effective state -> how many."""
    unknown_roles: int
    """Live memberships whose role the bundle does not know; they grant nothing."""
    policy_name: str
    policy_version: str
    policy_refused: bool
    """The newest files of the bundle directory were refused."""
    policy_problems: Mapping[str, int]
    """Kind -> problems of the bundle in force."""


class Metrics(Collector):
    """The counters of one process."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        """Denial reason (empty: allow) -> decisions."""
        self.calls: Counter[tuple[str, str]] = Counter()
        """(Service/Method, status code) -> calls."""
        self.seconds: dict[str, Histogram] = {}
        """Service/Method -> durations."""
        self.reloads: Counter[str] = Counter()
        """changed, unchanged or refused -> bundle reloads."""
        self.reloaded_at = time.time()
        """When a reload last succeeded, in Unix seconds."""
        self.joins: Counter[tuple[str, str]] = Counter()
        """(way of joining, result) -> attempts to join by code or invitation."""
        self.invitations: Counter[str] = Counter()
        """created, replaced, accepted, revoked or refused -> invitations."""
        self.analysis_resets = 0
        """Workspaces whose name or domain really changed."""
        self.schedule_failures = 0
        """Schedules that were stored but that the scheduler did not take."""
        self.pruned: Counter[str] = Counter()
        """changes or request_ids -> rows that were old enough to be deleted."""
        self.streams: Callable[[], int] = int
        """Asked at each scrape: how many clients watch."""
        self.audit_head: tuple[int, int] | None = None
        """Number of audit entries, and the first 52 bits of the newest one's MAC; None: not read yet."""
        self.audit_regressions = 0
        """How often the audit had fewer entries than before, or other ones."""
        self.audit_pending: Callable[[], int] = int
        """Asked at each scrape: how many entries about rejected attempts wait for the database."""
        self.poll_failing = False
        self.population: Callable[[], Population] | None = None
        """Asked at each scrape."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def histogram(self, method: str) -> Histogram:
        """Return the durations of a method, to be held by whoever observes them."""
        return self.seconds.setdefault(method, Histogram())

    def collect(self) -> Iterator[Metric]:
        """Yield every series."""
        decisions = CounterMetricFamily(
            "wsauthz_decisions", "Decisions by outcome and first reason.", labels=["outcome", "reason"]
        )
        for reason, count in list(self.decisions.items()):
            decisions.add_metric(["deny" if reason else "allow", reason], count)
        yield decisions
        calls = CounterMetricFamily("wsauthz_rpc", "Calls by method and status.", labels=["method", "code"])
        for (method, code), count in list(self.calls.items()):
            calls.add_metric([method, code], count)
        yield calls
        seconds = HistogramMetricFamily("wsauthz_rpc_seconds", "Time to answer by method.", labels=["method"])
        for method, histogram in list(self.seconds.items()):
            seconds.add_metric([method], list(histogram.buckets()), histogram.total)
        yield seconds
        yield from self._management()
        reloads = CounterMetricFamily("wsauthz_policy_reloads", "Reads of the bundle directory.", labels=["result"])
        for result in ("changed", "unchanged", "refused"):
            reloads.add_metric([result], self.reloads[result])
        yield reloads
        yield GaugeMetricFamily(
            "wsauthz_policy_loaded_timestamp_seconds", "When the bundle was last read well.", value=self.reloaded_at
        )
        yield GaugeMetricFamily(
            "wsauthz_poll_failing", "1 while the database does not answer.", value=self.poll_failing
        )
        pruned = CounterMetricFamily("wsauthz_pruned", "Rows deleted because of their age.", labels=["kind"])
        for kind, count in list(self.pruned.items()):
            pruned.add_metric([kind], count)
        yield pruned
        yield from self._audit()
        ends = CounterMetricFamily(
            "wsauthz_background_task_ends", "Background tasks that ended, and were started again.", labels=["task"]
        )
        for task, count in list(background_ends.items()):
            ends.add_metric([task], count)
        yield ends
        yield GaugeMetricFamily("wsauthz_watch_streams", "Clients that watch.", value=self.streams())
        if self.population is not None:
            yield from _population(self.population())

    def _audit(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "wsauthz_audit_pending", "Audit entries that wait for the database.", value=self.audit_pending()
        )
        yield CounterMetricFamily(
            "wsauthz_audit_regressions",
            "Times that the audit had fewer entries than before, or other ones.",
            value=self.audit_regressions,
        )
        if self.audit_head is not None:
            count, mac = self.audit_head
            yield GaugeMetricFamily("wsauthz_audit_entries", "Entries of the audit.", value=count)
            yield GaugeMetricFamily(
                "wsauthz_audit_head", "The first 13 hex digits of the newest entry's MAC, as a number.", value=mac
            )

    def _management(self) -> Iterator[Metric]:
        joins = CounterMetricFamily(
            "wsauthz_joins", "Attempts to join by code or invitation.", labels=["method", "result"]
        )
        for (method, result), count in list(self.joins.items()):
            joins.add_metric([method, result], count)
        yield joins
        invitations = CounterMetricFamily("wsauthz_invitations", "Invitations by outcome.", labels=["outcome"])
        for outcome, count in list(self.invitations.items()):
            invitations.add_metric([outcome], count)
        yield invitations
        yield CounterMetricFamily(
            "wsauthz_analysis_resets", "Workspaces whose name or domain really changed.", value=self.analysis_resets
        )
        yield CounterMetricFamily(
            "wsauthz_schedule_failures", "Schedules that the scheduler did not take.", value=self.schedule_failures
        )


class Scrapes:
    """Answers scrapes over HTTP, in threads of its own."""

    def __init__(self, addresses: Sequence[tuple[str, int]], registry: CollectorRegistry) -> None:
        """Listen on every host and port from now on.

        Raises:
            OSError: an address is in use.

        """
        self._servers = [start_http_server(port, host, registry) for host, port in addresses]
        self.port = self._servers[0][0].server_port

    async def keep_answering(self) -> None:
        """Return when a thread that accepts connections has ended; called again, it starts another one."""
        for number, (server, thread) in enumerate(self._servers):
            if not thread.is_alive():
                again = threading.Thread(target=server.serve_forever, name="scrapes", daemon=True)
                again.start()
                self._servers[number] = server, again
        while all(thread.is_alive() for _, thread in self._servers):  # noqa: ASYNC110 - no event tells of the end of one
            await asyncio.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Stop listening; blocks."""
        for server, _ in self._servers:
            server.shutdown()
            server.server_close()


def _population(now: Population) -> Iterator[Metric]:
    yield GaugeMetricFamily("wsauthz_ready", "1 while answers are given.", value=now.ready)
    yield GaugeMetricFamily("wsauthz_revision", "The revision of the facts in memory.", value=now.revision)
    yield GaugeMetricFamily(
        "wsauthz_revision_age_seconds", "Since the database was last heard.", value=now.revision_age_seconds
    )
    facts = GaugeMetricFamily("wsauthz_facts", "Facts in memory by kind.", labels=["kind"])
    for kind, count in now.facts.items():
        facts.add_metric([kind], count)
    yield facts
    workspaces = GaugeMetricFamily("wsauthz_workspaces", "Live workspaces by effective state.", labels=["state"])
    for state, count in now.workspaces.items():
        workspaces.add_metric([state], count)
    yield workspaces
    yield GaugeMetricFamily(
        "wsauthz_memberships_unknown_role", "Memberships whose role the bundle lacks.", value=now.unknown_roles
    )
    policy = GaugeMetricFamily("wsauthz_policy_info", "The bundle in force.", labels=["name", "version"])
    policy.add_metric([now.policy_name, now.policy_version], 1)
    yield policy
    yield GaugeMetricFamily(
        "wsauthz_policy_refused", "1 while the newest files of the bundle are refused.", value=now.policy_refused
    )
    problems = GaugeMetricFamily("wsauthz_policy_problems", "Problems of the bundle in force.", labels=["kind"])
    for kind, count in now.policy_problems.items():
        problems.add_metric([kind], count)
    yield problems
