"""`wsauthz policy info` and `policy reload`, and SIGHUP, with a server process."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audited import until
from tests.cli.running import Run
from tests.rpc.bundles import copy_bundle
from tests.rpc.test_policy import TEST
from tests.serving import ServerProcess


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = copy_bundle("dam", tmp_path, tests=False)
    (found / "tests.yaml").write_text(TEST)
    return found


@pytest.fixture
def server(run_sqlite: Run, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    assert run_sqlite("platform", "grant", "root", "operator").status == 0
    with ServerProcess(run_sqlite.database_url, directory) as process:
        monkeypatch.setenv("WSAUTHZ_LISTEN", process.address)
        yield process


def test_what_is_in_force_is_shown_and_reloaded(server: ServerProcess, run_sqlite: Run, directory: Path) -> None:
    shown = run_sqlite("policy", "info")
    first = shown.lines[0].removeprefix("dam, version ")
    assert (shown.status, len(first)) == (0, 12)
    assert shown.lines[1].startswith("in force since 20")
    assert len(shown.lines) == 2
    unchanged = run_sqlite("policy", "reload", "--actor", "root")
    assert (unchanged.status, unchanged.out) == (0, f"Version {first} is in force, as before.\n")
    with (directory / "policy.csv").open("a") as rules:
        rules.write("p, role:viewer, workspace:nroth, dam:asset/*, read, any, deny\n")
    changed = run_sqlite("policy", "reload", "--actor", "root")
    assert (changed.status, first in changed.out) == (0, False)
    shown = run_sqlite("policy", "info")
    assert (shown.status, shown.lines[2]) == (0, "problems 1")
    assert "workspace:nroth does not exist" in shown.lines[3]
    with (directory / "policy.csv").open("a") as rules:
        rules.write("nonsense\n")
    refused = run_sqlite("policy", "reload", "--actor", "root")
    assert (refused.status, refused.lines[0].endswith("stays in force:")) == (1, True)
    assert "is not a row type" in refused.lines[1]
    shown = run_sqlite("policy", "info")
    assert (shown.status, shown.lines[2].startswith("refused newer files, at 20")) == (1, True)
    assert any("is not a row type" in line for line in shown.lines)
    as_json = run_sqlite("policy", "info", "--json")
    assert (as_json.status, json.loads(as_json.out)["name"]) == (1, "dam")


def test_errors_are_sentences(server: ServerProcess, run_sqlite: Run, tmp_path: Path) -> None:
    nobody = run_sqlite("policy", "reload")
    assert (nobody.status, "--actor" in nobody.err) == (2, True)
    stranger = run_sqlite("policy", "reload", "--actor", "ann")
    assert (stranger.status, stranger.err.startswith("PERMISSION_DENIED")) == (2, True)
    silent = run_sqlite("policy", "info", "--server", f"unix:{tmp_path}/nothing")
    assert (silent.status, silent.err.startswith("No server answers at")) == (2, True)


def test_sighup_has_the_bundle_read_again(server: ServerProcess, run_sqlite: Run) -> None:
    def read() -> int:
        return server.log.read_text().count('"message": "the bundle was read"')

    assert read() == 0
    for count in (1, 2):
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        until(read, lambda found, count=count: found == count)  # type: ignore[misc]
    assert run_sqlite("policy", "info").status == 0
    assert server.terminate() == 0
