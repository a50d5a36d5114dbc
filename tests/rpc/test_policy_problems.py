"""What is wrong with a valid bundle: the server starts and serves, and says so in its log, a metric and an RPC."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import sqlite_database
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.rpc.test_metrics import Metered
from tests.rpc.test_policy import TEST
from tests.serving import Serving
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import policy_pb2 as pb
from wsauthz.v1 import workspaces_pb2

WORLD: dict[str, Any] = {
    "users": [{"id": "zoe"}],
    "workspaces": [{"id": "w", "owner": "owen"}, {"id": "north", "owner": "owen"}],
    "organizations": [{"id": "acme"}],
    "memberships": [
        *STATE["memberships"],
        {"workspace": "w", "user": "vic", "role": "viewer"},
        {"workspace": "w", "user": "wim", "role": "viewer"},
        {"workspace": "w", "user": "max", "role": "member"},
    ],
}

Start = Callable[..., Metered]


@pytest.fixture
def start(sqlite_template: Path) -> Iterator[Start]:
    """Return what starts a server on the dam bundle, with rows appended and other tests; at most once."""
    servers: list[Serving] = []
    with tempfile.TemporaryDirectory(prefix="wsauthz-problems-") as folder, sqlite_database(sqlite_template) as url:

        def run(*rows: str, tests: str | None = TEST) -> Metered:
            directory = copy_bundle("dam", Path(folder), rows=list(rows), tests=False)
            fill(url, state_of(WORLD), read_bundle(directory, core_vocabulary()).catalog)
            if tests is not None:
                (directory / "tests.yaml").write_text(tests)
            servers.append(Serving(url, directory, metrics_listen="127.0.0.1:0").__enter__())
            return Metered(servers[-1])

        yield run
        for server in servers:
            server.__exit__(None, None, None)


def info(tenants: Tenants) -> pb.GetPolicyInfoResponse:
    return tenants.client().policy.GetPolicyInfo(pb.GetPolicyInfoRequest())


def figures(server: Metered) -> dict[str, float]:
    return {kind: count for (kind,), count in server.scrape("wsauthz_policy_problems").items() if count}


def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until a warning about the bundle has a problem with this text."""
    deadline = time.monotonic() + 30
    while not any(text in problem for problem in logged(caplog)):
        assert time.monotonic() < deadline, logged(caplog)
        time.sleep(0.02)


def logged(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [
        problem
        for record in list(caplog.records)
        if record.levelno == logging.WARNING and record.message == "the bundle in force has problems"
        for problem in record.__dict__["problems"]
    ]


def test_nothing_is_wrong_with_a_bundle_that_is_as_it_should_be(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start("p, role:member, workspace:north, dam:asset/*, delete, any, deny")
    assert list(info(server).problems) == []
    assert set(server.scrape("wsauthz_policy_problems").values()) == {0.0}
    assert not logged(caplog)


@pytest.mark.parametrize("tests", [None, "", "# none yet\n"])
def test_a_bundle_without_tests_is_served_and_reported(
    start: Start, caplog: pytest.LogCaptureFixture, tests: str | None
) -> None:
    server = start(tests=tests)
    assert server.reason("vic", "w", "dam:asset read") == ""
    found = info(server)
    assert [problem.partition(":")[0] for problem in found.problems] == ["tests.yaml"]
    assert not found.HasField("refused_at")
    assert figures(server) == {"untested": 1}
    until_logged(caplog, "tests.yaml: is missing or holds no test")
    (server.server.policy / "tests.yaml").write_text(TEST)
    server.client(OPERATOR).policy.ReloadPolicy(pb.ReloadPolicyRequest())
    assert list(info(server).problems) == []
    assert figures(server) == {}


def test_a_rule_about_a_place_that_does_not_exist_is_served_and_reported(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It looks like a deny in force."""
    server = start(
        "p, role:viewer, workspace:nroth, dam:asset/*, read, any, deny",
        "p, role:viewer, organization:amce, dam:asset/*, read, any, deny",
        "p, role:viewer, organization:w, dam:asset/*, read, any, deny",
        "p, role:viewer, platform, analytics:report/*, export, active, allow",
    )
    problems = list(info(server).problems)
    assert [problem.split(": ")[1].split()[0] for problem in problems] == [
        "workspace:nroth",
        "organization:amce",
        "organization:w",
    ]
    assert all(problem.startswith("policy.csv:") for problem in problems)
    assert figures(server) == {"unknown_place": 3}
    until_logged(caplog, "workspace:nroth does not exist, so the rule never applies")


def test_a_place_that_is_deleted_while_a_server_runs_is_reported_then(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start("p, role:viewer, workspace:north, dam:asset/*, read, any, deny")
    assert list(info(server).problems) == []
    server.client("owen").workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id="north"))
    assert ["workspace:north does not exist" in problem for problem in info(server).problems] == [True]
    assert figures(server) == {"unknown_place": 1}
    until_logged(caplog, "workspace:north does not exist")


def test_every_load_warns_of_roles_that_the_bundle_does_not_know_with_their_members(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()
    directory = server.server.policy
    for name in ("catalog.toml", "policy.csv"):
        text = (directory / name).read_text()
        (directory / name).write_text(
            text.replace("roles.viewer", "roles.reader").replace("role:viewer", "role:reader")
        )
    (directory / "tests.yaml").write_text(TEST.replace("role: viewer", "role: reader"))
    answer = server.client(OPERATOR).policy.ReloadPolicy(pb.ReloadPolicyRequest())
    assert (answer.changed, list(answer.problems)) == (True, [])
    expected = "memberships: 2 members have the role 'viewer', which the bundle does not know: it grants nothing"
    assert list(info(server).problems) == [expected]
    assert figures(server) == {"unknown_role": 1}
    until_logged(caplog, expected)
    caplog.clear()
    server.client(OPERATOR).policy.ReloadPolicy(pb.ReloadPolicyRequest())
    until_logged(caplog, expected)


def test_a_rule_about_one_object_of_the_core_is_reported(start: Start) -> None:
    """It looks like a deny about the workspace with that id, and stops no call."""
    server = start("p, role:owner, *, workspace/north, delete, any, deny")
    assert ["name the place in the third column" in problem for problem in info(server).problems] == [True]
    server.client("owen").workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id="north"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "g, role:member, perm:can-manage-users, *",
            {"workspace 'member' add, update, remove", "organization 'member'"},
        ),
        ("p, role:viewer, *, member/*, remove, active, allow", {"workspace 'member' remove", "organization 'member'"}),
        ("g4, role:member, role:admin", {"workspace 'member' add, update, remove", "organization 'member'"}),
        ("p, role:member, workspace:north, member/*, remove, active, allow", set()),
        ("p, role:admin, *, member/*, view, any, allow", set()),
    ],
)
def test_a_role_that_joining_gives_and_that_manages_members_is_reported(
    start: Start, row: str, expected: set[str]
) -> None:
    server = start(row)
    problems = list(info(server).problems)
    assert len(problems) == len(expected)
    for words in map(str.split, expected):
        place, role, *may = words
        text = " ".join(may)
        assert [
            problem
            for problem in problems
            if f"catalog.toml: defaults.{place}: " in problem and f"gets {role}, which may {text}" in problem
        ]
    assert figures(server) == ({"broad_default": len(expected)} if expected else {})


def test_of_very_many_problems_the_first_are_told(start: Start) -> None:
    server = start(*(f"p, role:viewer, workspace:x{number}, dam:asset/*, read, any, deny" for number in range(120)))
    problems = list(info(server).problems)
    assert (len(problems), problems[-1]) == (101, "and 20 more")
    assert figures(server) == {"unknown_place": 120}
