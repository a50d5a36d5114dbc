"""A cache that is fed by Watch learns of every new version of the policy, in order with the revisions."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.streams import PATIENCE_SECONDS, Stream
from tests.rpc.tenants import Tenants
from tests.serving import Serving
from wsauthz.model.errors import ConsumerTooSlow
from wsauthz.replica import watchers
from wsauthz.replica.watchers import Policy, Watcher
from wsauthz.v1 import policy_pb2
from wsauthz.v1 import watch_pb2 as pb

POLICY: Final = pb.WATCH_EVENT_POLICY
REVISION: Final = pb.WATCH_EVENT_REVISION
NO_PLACE: Final = "no-such-workspace"


class Rules:
    """A server, and the rules that it reads, which change."""

    def __init__(self, server: Serving, directory: Path) -> None:
        self.tenants = Tenants(server)
        self._directory = directory
        self._replica = server.server.replica
        self._count = 0

    @property
    def version(self) -> str:
        """The version in force."""
        return self.tenants.client().policy.GetPolicyInfo(policy_pb2.GetPolicyInfoRequest()).version

    def change(self, row: str = "") -> str:
        """Change the rules and have them read; return the version in force then."""
        self._count += 1
        with (self._directory / "policy.csv").open("a") as rows:
            rows.write(row or f"# {self._count}\n")
        return self._replica.reload_policy().bundle.version

    def user(self) -> str:
        """Write something; return the revision."""
        self.tenants.user()
        return self.tenants.revision


@pytest.fixture
def rules(sqlite_url: str, tmp_path: Path) -> Iterator[Rules]:
    directory = copy_bundle("dam", tmp_path, tests=False)
    with Serving(sqlite_url, directory) as server:
        yield Rules(server, directory)


def told(stream: Stream) -> list[tuple[int, str]]:
    """Return what a stream told, in order: of a revision its token, of a policy its version."""
    kinds = (POLICY, REVISION)
    return [(each.event, each.policy_version or each.revision) for each in stream.messages if each.event in kinds]


@pytest.mark.parametrize("wanted", [{}, {"kinds": [pb.CHANGE_KIND_USER], "workspace_ids": [NO_PLACE]}])
def test_every_stream_begins_with_the_version_in_force(rules: Rules, wanted: dict[str, Any]) -> None:
    begin = rules.user()
    rules.user()
    for start in ("", begin):
        with Stream(rules.tenants.client(), start, **wanted) as stream:
            policy, started = stream.messages[:2]
            assert policy == pb.WatchResponse(event=POLICY, revision=started.revision, policy_version=rules.version)
            assert started.event == pb.WATCH_EVENT_STARTED


def test_versions_come_in_order_with_the_revisions(rules: Rules) -> None:
    first = rules.version
    with Stream(rules.tenants.client()) as stream:
        expected: list[tuple[int, str]] = [(POLICY, first)]
        for _ in range(3):
            expected += [(REVISION, rules.user()), (POLICY, rules.change()), (POLICY, rules.change())]
        expected.append((REVISION, rules.user()))
        stream.seen(rules.tenants.revision)
        assert told(stream) == expected
        assert [each.revision for each in stream.messages if each.event == POLICY][1:3] == [expected[1][1]] * 2


def test_a_version_waits_for_the_revisions_before_it(rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that still reads what came before must not tell of the rules of later."""
    read, changed = threading.Event(), threading.Event()
    kept = watchers.kept

    def hesitating(*arguments: Any) -> Any:
        found = kept(*arguments)
        read.set()
        assert changed.wait(PATIENCE_SECONDS)
        return found

    begin, first = rules.user(), rules.version
    expected = [(POLICY, first), (REVISION, rules.user()), (REVISION, rules.user())]
    monkeypatch.setattr(watchers, "kept", hesitating)
    stream = Stream(rules.tenants.client(), begin)
    assert read.wait(PATIENCE_SECONDS)
    expected += [(REVISION, rules.user()), (POLICY, rules.change()), (REVISION, rules.user())]
    changed.set()
    with stream:
        assert told(stream.seen(rules.tenants.revision)) == expected


def test_rules_that_are_rejected_or_the_same_are_not_told(rules: Rules) -> None:
    first = rules.version
    with Stream(rules.tenants.client()) as stream:
        rules.tenants.server.server.replica.reload_policy()
        assert rules.change("p, nonsense\n") == first
        assert told(stream.seen(rules.user())) == [(POLICY, first), (REVISION, rules.tenants.revision)]


def test_versions_that_nobody_takes_off_do_not_wait_without_bound() -> None:
    watcher = Watcher(0, 0, Policy("first", 0))
    for number in range(watchers.MOST_WAITING_CHANGES):
        watcher.hear_policy(Policy(str(number), 0))
    with pytest.raises(ConsumerTooSlow):
        watcher.take_policy()
