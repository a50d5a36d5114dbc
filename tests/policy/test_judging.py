"""Judging a bundle in a process of its own: the same verdicts as in this one, and an end whatever the bundle is."""

import os
from pathlib import Path

import psutil
import pytest

from tests.policy.test_sizes import DAM, catalog, rules
from wsauthz.policy import judging
from wsauthz.policy.bundle import BundleRefused, build_bundle
from wsauthz.rpc.methods import core_vocabulary

HEAVY = {
    **DAM,
    "catalog.toml": catalog(roles=90, types=100, actions=10),
    "policy.csv": rules(90),
    "tests.yaml": """\
- name: a matrix
  given: {users: [{id: owen}], workspaces: [{id: w, owner: owen}]}
  matrix: {workspace: w, rows: {viewer: [workspace view]}}
""",
}
"""Of a size that is allowed, and some seconds of work; its tests fail in the end."""


class Enough(Exception):
    """Nobody waits any more."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "WALL_SECONDS", 100.0)


def go_on() -> None:
    """Wait until it is done."""


def refusal(files: dict[str, str]) -> BundleRefused:
    with pytest.raises(BundleRefused) as refused:
        judging.judge(files, core_vocabulary(), go_on)
    return refused.value


def judges() -> list[int]:
    """Return the processes that judge for this one."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "wsauthz.policy.judging" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_good_bundle_has_the_same_version_there_as_here() -> None:
    verdict = judging.judge(DAM, core_vocabulary(), go_on)
    assert verdict == judging.Verdict(version=build_bundle(DAM, core_vocabulary()).version, is_tested=True)
    untested = {name: text for name, text in DAM.items() if name != "tests.yaml"}
    assert not judging.judge(untested, core_vocabulary(), go_on).is_tested


def test_a_bundle_is_larger_than_a_pipe() -> None:
    assert judging.judge(
        {**DAM, "policy.csv": DAM["policy.csv"] + "#" * 900_000 + "\n"}, core_vocabulary(), go_on
    ).version


def test_a_bad_bundle_has_the_same_problems_there_as_here() -> None:
    bad = {**DAM, "policy.csv": DAM["policy.csv"] + "p, role:viewr, *, dam:*, read, any, allow\n"}
    with pytest.raises(BundleRefused) as here:
        build_bundle(bad, core_vocabulary())
    assert refusal(bad).problems == here.value.problems
    failing = {**DAM, "policy.csv": DAM["policy.csv"] + "p, role:viewer, *, dam:*, update, any, allow\n"}
    assert any("tests.yaml" in str(problem) for problem in refusal(failing).problems)


def test_a_bundle_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of processor time: how busy the machine is decides nothing."""
    monkeypatch.setattr(judging, "CPU_SECONDS", 1)
    refused = refusal(HEAVY)
    assert str(refused) == "the bundle: takes more than 1 s of processor time to compile and test"
    assert not refused.may_pass


def test_a_bundle_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MEMORY_BYTES", 128 << 20)
    refused = refusal(HEAVY)
    assert str(refused) == "the bundle: takes more than 128 MiB of memory to compile and test"
    assert not refused.may_pass


def test_a_verdict_that_does_not_come_may_come_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "WALL_SECONDS", 0.0)
    assert refusal(HEAVY).may_pass
    assert judges() == []


def test_where_no_process_can_be_started_the_bundle_is_not_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging.sys, "executable", "/nowhere/python")  # type: ignore[attr-defined]
    refused = refusal(DAM)
    assert (str(refused), refused.may_pass) == ("the bundle: cannot be judged now: No such file or directory", True)


def test_nothing_goes_on_when_nobody_waits_any_more() -> None:
    def stop() -> None:
        if judges():
            raise Enough

    with pytest.raises(Enough):
        judging.judge(HEAVY, core_vocabulary(), stop)
    assert judges() == []


def test_a_mistake_of_ours_is_not_a_problem_of_the_bundle() -> None:
    with pytest.raises(RuntimeError, match="judging the bundle failed"):
        judging.judge(DAM, {"workspace": {"view": 1}, "member": 1}, go_on)  # type: ignore[dict-item]


def test_a_module_in_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert judging.judge(DAM, core_vocabulary(), go_on).is_tested
