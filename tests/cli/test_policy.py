import shutil
import time
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.serving import BUNDLES


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a copy of the dam bundle that may be spoiled."""
    shutil.copytree(BUNDLES, tmp_path / "policies")
    return tmp_path / "policies" / "dam"


def spoil(file: Path, old: str, new: str) -> None:
    """Replace a text that is in the file."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["dam", "default", "eventpalour", "oneglanse"])
def test_a_shipped_bundle_is_valid_and_tests_every_rule(run_sqlite: Run, name: str) -> None:
    valid = run_sqlite("policy", "validate", BUNDLES / name)
    assert (valid.status, f"is valid: {name}, version " in valid.out) == (0, True)
    tested = run_sqlite("policy", "test", BUNDLES / name, "--coverage")
    assert tested.status == 0
    assert tested.lines[0].endswith("0 failures.")
    assert len(tested.lines) == 2, "every rule is exercised"


def test_a_refused_bundle_is_listed_with_its_lines_and_exits_with_1(run_sqlite: Run, bundle: Path) -> None:
    spoil(
        bundle / "policy.csv",
        "p, role:viewer, *, workspace/*, view, any, allow",
        "p, role:wizard, *, workspace/*, view, any, alow",
    )
    outcome = run_sqlite("policy", "validate", bundle)
    assert outcome.status == 1
    assert outcome.lines[0] == f"{bundle} is refused:"
    assert any("role:wizard" in line and line.startswith("policy.csv:") for line in outcome.lines)
    assert any("alow" in line for line in outcome.lines)


def test_failed_expectations_and_rules_without_a_test_are_listed(run_sqlite: Run, bundle: Path) -> None:
    spoil(bundle / "policy.csv", "p, role:viewer, *, *, read, active, allow\n", "")
    outcome = run_sqlite("policy", "test", bundle)
    assert outcome.status == 1
    assert any(line.startswith("tests.yaml:") for line in outcome.lines)
    assert run_sqlite("policy", "validate", bundle).status == 1
    (bundle / "tests.yaml").unlink()
    untested = run_sqlite("policy", "test", bundle, "--coverage")
    assert untested.status == 0
    assert untested.lines[0] == "0 scenarios, 0 questions, 0 failures."
    assert any(line.startswith("policy.csv:") for line in untested.lines)


def test_a_bundle_that_is_not_there_is_an_error_for_whoever_needs_one(run_sqlite: Run, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for command in (("policy", "test", nowhere), ("platform", "grant", "x", "--policy", nowhere)):
        outcome = run_sqlite(*command)
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err.startswith(f"The policy bundle {nowhere} is refused:")


def test_engine_and_stock_casbin_agree_on_the_example(example: Run) -> None:
    assert example("policy", "verify", "--questions", 200).out == "200 questions, 0 differences.\n"


def test_an_export_is_a_model_and_a_policy_for_any_casbin(example: Run, tmp_path: Path) -> None:
    target = tmp_path / "casbin"
    outcome = example("policy", "export", target)
    rows = (target / "policy.csv").read_text().splitlines()
    assert outcome.out == f"{target}: model.conf, policy.csv with {len(rows):,} rows\n"
    assert (target / "model.conf").read_text() == (BUNDLES / "model.conf").read_text()
    assert "g, user:ann, role:admin, workspace:north-press#dam" in rows
    assert "g3, workspace:south-shop, suspended" in rows


def test_an_export_leaves_out_what_has_expired_by_the_clock_of_the_database(
    example: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)  # in 2023, before eve's membership expired
    assert example("policy", "export", tmp_path).status == 0
    assert "g, user:eve, role:member, workspace:north#dam" not in (tmp_path / "policy.csv").read_text()


def test_an_export_does_not_overwrite_the_bundle(run_sqlite: Run, bundle: Path) -> None:
    before = (bundle / "policy.csv").read_text()
    for target in (bundle, bundle.parent):
        assert run_sqlite("policy", "export", target, "--policy", bundle).status == 2
    assert (bundle / "policy.csv").read_text() == before
