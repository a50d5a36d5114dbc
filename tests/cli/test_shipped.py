"""The bundles that come with wsauthz: in the wheel, in an editable installation, and as a copy to start from."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.serving import BUNDLES, ROOT
from wsauthz.cli.shipped import shipped
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary

NAMES = ["dam", "default", "eventpalour", "oneglanse"]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_has_the_bundles_and_finds_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    assert files(installed / "wsauthz" / "bundles") == files(BUNDLES)
    script = "from wsauthz.cli.shipped import shipped; print(*(f'{n}={p}' for n, p in shipped().items()))"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [f"{name}={installed / 'wsauthz' / 'bundles' / name}" for name in NAMES]


def test_an_editable_installation_finds_them_where_they_are_written() -> None:
    assert shipped() == {name: BUNDLES / name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_the_same_policy_and_needs_nothing_beside_it(run_sqlite: Run, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "deep" / "mine"
    written = run_sqlite("policy", "init", mine, "--from", name)
    version = read_bundle(BUNDLES / name, core_vocabulary()).version
    assert (written.status, written.lines[0]) == (
        0,
        f"{mine}: catalog.toml, policy.csv, tests.yaml of {name}, version {version}.",
    )
    assert files(mine) == files(BUNDLES / name)
    assert not (mine.parent / "model.conf").exists()
    for line in written.lines[1:]:
        command = line.partition(": wsauthz ")[2].split()
        if command[0] == "policy":
            assert run_sqlite(*command).status == 0


def test_default_is_what_a_copy_is_made_of_unless_another_is_named(run_sqlite: Run, tmp_path: Path) -> None:
    assert run_sqlite("policy", "init", tmp_path / "mine").status == 0
    assert files(tmp_path / "mine") == files(BUNDLES / "default")


def test_a_directory_with_files_is_not_written_to(run_sqlite: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    outcome = run_sqlite("policy", "init", mine, "--from", "dam")
    assert (outcome.status, outcome.err) == (2, f"{mine} is not empty; name another directory.\n")
    assert files(mine) == {"notes.txt": b"mine"}
    outcome = run_sqlite("policy", "init", mine / "notes.txt")
    assert (outcome.status, outcome.err) == (2, f"{mine / 'notes.txt'}: File exists\n")


def test_an_unknown_bundle_is_named_with_those_that_exist(run_sqlite: Run, tmp_path: Path) -> None:
    outcome = run_sqlite("policy", "init", tmp_path / "mine", "--from", "damm")
    assert (outcome.status, outcome.err) == (
        2,
        "There is no bundle 'damm' (did you mean dam?); there are dam, default, eventpalour, oneglanse.\n",
    )
    assert not (tmp_path / "mine").exists()


def test_a_command_without_a_bundle_says_how_to_write_one(run_sqlite: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    outcome = run_sqlite("access", "ann", "north", "--database", run_sqlite.database_url, "--policy", mine)
    assert outcome.status == 2
    proposed = outcome.err.splitlines()[-1].partition(": wsauthz ")[2].split()
    assert proposed == ["policy", "init", str(mine)]
    assert run_sqlite(*proposed).status == 0
    outcome = run_sqlite("access", "ann", "north", "--database", run_sqlite.database_url, "--policy", mine)
    assert outcome.err == "Workspace not found\n"
