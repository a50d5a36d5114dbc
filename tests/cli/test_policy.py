import shutil
import time
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.serving import BUNDLES
from wsauthz.policy.model_conf import check_model


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
    assert untested.status == 1
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
    assert check_model((target / "model.conf").read_text()) == []
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


# --- what a server would report ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, "", "# later\n", "[]\n"])
def test_a_bundle_without_tests_is_not_valid_unless_that_is_allowed(
    run_sqlite: Run, bundle: Path, left: str | None
) -> None:
    if left is None:
        (bundle / "tests.yaml").unlink()
    else:
        (bundle / "tests.yaml").write_text(left)
    refused = run_sqlite("policy", "validate", bundle)
    assert (refused.status, refused.lines[0].endswith(", 0 tests."), len(refused.lines)) == (1, True, 2)
    assert "tests.yaml" in refused.lines[1]
    allowed = run_sqlite("policy", "validate", bundle, "--allow-untested")
    assert (allowed.status, " is valid: " in allowed.out, allowed.out.endswith(", 0 tests.\n")) == (0, True, True)


def test_places_are_checked_against_a_database_if_one_is_named(example: Run, bundle: Path) -> None:
    url = example.database_url
    good, bad = "p, role:viewer, workspace:north-press, {}", "p, role:viewer, workspace:nroth-press, {}"
    with (bundle / "policy.csv").open("a") as rules:
        rules.write(good.format("dam:asset/42, read, any, deny\n") + bad.format("dam:asset/43, read, any, deny\n"))
    line = len((bundle / "policy.csv").read_text().splitlines())
    assert example("policy", "validate", bundle).status == 0
    refused = example("policy", "validate", bundle, "--database", url)
    assert (refused.status, len(refused.lines)) == (1, 2)
    assert f"policy.csv:{line}: workspace:nroth-press does not exist" in refused.lines[1]
    assert example("policy", "validate", bundle, "--database", url, "--allow-unknown-places").status == 0


def test_roles_of_members_that_a_bundle_lacks_are_counted(example: Run) -> None:
    url = example.database_url
    outcome = example("policy", "validate", BUNDLES / "oneglanse", "--database", url)
    assert outcome.status == 0
    assert "the role 'admin', which the bundle does not know" in outcome.err


def test_a_rule_about_one_object_of_the_core_is_a_warning(run_sqlite: Run, bundle: Path) -> None:
    with (bundle / "policy.csv").open("a") as rules:
        rules.write("p, role:owner, *, workspace/north, delete, any, deny\n")
    outcome = run_sqlite("policy", "validate", bundle)
    assert outcome.status == 0
    assert "management calls ask about workspace without an id" in outcome.err
