import json
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.running import Run


def invented(run: Run, *arguments: object) -> list[dict[str, object]]:
    """Return the records of a demo."""
    outcome = run("demo", *arguments)
    assert outcome.status == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


@pytest.mark.parametrize("bundle", ["dam", "default", "eventpalour", "oneglanse"])
def test_a_demo_imports_and_agrees_with_stock_casbin(
    run_sqlite: Run, tmp_path: Path, bundle: str, bundles: Path
) -> None:
    file, policy = tmp_path / "demo.jsonl", ("--policy", bundles / bundle)
    assert run_sqlite("demo", "--workspaces", 60, "--users", 120, "--output", file, *policy).status == 0
    assert run_sqlite("import", file, *policy).status == 0
    verified = run_sqlite("policy", "verify", "--questions", 100, *policy)
    assert (verified.status, verified.out) == (0, "100 questions, 0 differences.\n")


def test_the_same_seed_invents_the_same_and_another_one_something_else(run_sqlite: Run) -> None:
    size = ("--workspaces", 30, "--users", 50)
    assert invented(run_sqlite, *size) == invented(run_sqlite, *size, "--seed", 1)
    assert invented(run_sqlite, *size) != invented(run_sqlite, *size, "--seed", 2)


def test_a_demo_has_the_shape_of_real_ones(run_sqlite: Run) -> None:
    records = invented(run_sqlite, "--workspaces", 400, "--users", 1000)
    kinds = Counter(str(record["kind"]) for record in records)
    assert (kinds["workspace"], kinds["user"]) == (400, 1000)
    workspaces = {record["id"]: record for record in records if record["kind"] == "workspace"}
    depths: Counter[int] = Counter()
    for record in workspaces.values():
        depth, above = 1, record["parent"]
        while above is not None:
            depth, above = depth + 1, workspaces[above]["parent"]
        depths[depth] += 1
    assert set(depths) <= set(range(1, 9))
    assert max(depths) > 3
    memberships = [record for record in records if record["kind"] == "membership"]
    sizes = Counter(record["workspace"] for record in memberships if "workspace" in record)
    assert 3000 < sum(sizes.values()) < 5500
    assert max(sizes.values()) > 10 * (sum(sizes.values()) / len(sizes)) > 10 * min(sizes.values())
    for wanted in ("is_active", "expires_at", "modules", "permissions"):
        assert any(wanted in record for record in memberships), wanted
    assert any(record["is_suspended"] for record in workspaces.values())
    assert any(not record["is_active"] for record in workspaces.values())
    assert any(record["status"] == "expired" for record in records if record["kind"] == "subscription")


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (30, 1), (3, 2)])
def test_the_smallest_demos_can_be_imported(run_sqlite: Run, tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "demo.jsonl"
    assert run_sqlite("demo", "--workspaces", size[0], "--users", size[1], "--output", file).status == 0
    assert run_sqlite("import", file).status == 0
