"""Changes of the policy are in the audit, once, with both versions and the rules that differ."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import audited
from tests.audited import held, until
from tests.rpc.bundles import copy_bundle
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE
from tests.serving import Serving
from wsauthz.policy.bundle import read_bundle
from wsauthz.replica import background, policy_audit
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import audit_pb2, policy_pb2

RULE = "p, role:viewer, *, dam:asset/*, delete, active, allow"


@pytest.fixture
def bundle(database_url: str, tmp_path: Path) -> Path:
    """Return a bundle that a test may change, of a database with an operator."""
    directory = copy_bundle("dam", tmp_path, tests=False)
    fill(database_url, state_of(STATE), read_bundle(directory, core_vocabulary()).catalog)
    return directory


def append(bundle: Path, *rows: str) -> None:
    """Add rules as an editor does: beside, then in place in one step."""
    beside = bundle.parent / "policy.csv.new"
    beside.write_text((bundle / "policy.csv").read_text() + "".join(f"{row}\n" for row in rows))
    beside.replace(bundle / "policy.csv")


def version(server: Serving) -> str:
    return server.client().policy.GetPolicyInfo(policy_pb2.GetPolicyInfoRequest()).version


def policies(database_url: str, count: int) -> list[Any]:
    """Return the entries about the policy, once there are so many."""
    return list(until(lambda: audited.entries(database_url, target_kind="policy"), lambda found: len(found) >= count))


def test_a_change_is_recorded_once_however_many_servers_load_it(database_url: str, bundle: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(Serving(database_url, bundle)) for _ in range(3)]
        before = version(servers[0])
        append(bundle, RULE)
        until(lambda: before not in map(version, servers))
        after = version(servers[0])
    _, changed = policies(database_url, 2)
    assert (changed.before["version"], changed.after["version"]) == (before, after)
    assert (changed.before["rules"], changed.after["rules"]) == ([], [RULE])
    assert set(changed.after["files"]) == {"policy.csv"}
    assert (changed.caller, changed.actor, changed.method, changed.place_kind) == (
        "server",
        "",
        "policy/load",
        "platform",
    )
    assert changed.revision is None


def test_a_reload_on_request_names_the_actor(database_url: str, bundle: Path) -> None:
    with Serving(database_url, bundle) as server:
        client = server.client(OPERATOR)
        server.run(_stop_following(server))
        append(bundle, RULE)
        assert client.policy.ReloadPolicy(policy_pb2.ReloadPolicyRequest()).changed
        changed = policies(database_url, 2)[-1]
        assert (changed.actor, changed.method) == (OPERATOR, "PolicyService/ReloadPolicy")
        listed = client.audit.ListAuditEntries(audit_pb2.ListAuditEntriesRequest()).entries
        assert RULE in str(next(entry for entry in listed if entry.number == changed.number).after)


async def _stop_following(server: Serving) -> None:
    """Have files read on request alone."""
    await background.stop(*server.server._tasks)


def test_a_change_between_two_runs_is_recorded_with_the_rules_that_went(database_url: str, bundle: Path) -> None:
    append(bundle, RULE)
    with Serving(database_url, bundle) as server:
        before = after = version(server)
    text = (bundle / "policy.csv").read_text()
    (bundle / "policy.csv").write_text(text.replace(RULE, "# gone"))
    for _ in range(2):  # the second start finds nothing new
        with Serving(database_url, bundle) as server:
            after = version(server)
    first, changed = policies(database_url, 2)
    assert first.before["version"] == ""
    assert RULE in first.after["rules"]
    assert (changed.before["version"], changed.after["version"]) == (before, after)
    assert (changed.before["rules"], changed.after["rules"]) == ([RULE], [])
    assert len(policies(database_url, 2)) == 2


def test_a_change_of_many_rules_names_every_one(sqlite_url: str, tmp_path: Path) -> None:
    directory = copy_bundle("dam", tmp_path, tests=False)
    with Serving(sqlite_url, directory):
        pass
    many = [f"p, role:viewer, workspace:w{number}, dam:asset/*, delete, active, allow" for number in range(250)]
    append(directory, *many)
    with Serving(sqlite_url, directory):
        pass
    changes = policies(sqlite_url, 4)[1:]
    assert [len(each.after["rules"]) for each in changes] == [100, 100, 50]
    assert policy_audit.RULES_PER_ENTRY == 100
    assert sorted(rule for each in changes for rule in each.after["rules"]) == sorted(many)
    assert max(len(json.dumps(each.after)) for each in changes) < 20_000


def test_a_change_while_the_database_is_held_is_recorded_afterwards(database_url: str, bundle: Path) -> None:
    with Serving(database_url, bundle) as server:
        before = version(server)
        policies(database_url, 1)
        with held(database_url):
            append(bundle, RULE)
            until(lambda: version(server) != before)
            until(lambda: server.server._wrapper.auditor._is_failing)
        assert policies(database_url, 2)[-1].after["rules"] == [RULE]
