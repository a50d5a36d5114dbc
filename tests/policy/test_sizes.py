"""How large a bundle may be, and that reading it costs as much as it is long."""

import gc
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.serving import BUNDLES
from wsauthz.policy import catalog_reader, current, rules_reader, sizes
from wsauthz.policy.bundle import Bundle, BundleRefused, build_bundle
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.scenarios import refuse_failing
from wsauthz.rpc.methods import core_vocabulary

DAM = {path.name: path.read_text() for path in (*(BUNDLES / "dam").iterdir(), BUNDLES / "model.conf") if path.is_file()}


def catalog(*, roles: int = 1, types: int = 1, actions: int = 1) -> str:
    """Return dam's catalog with further roles ``r<n>`` and types ``dam:r<n>`` with the actions ``a<n>``."""
    names = ", ".join(f'"a{number}"' for number in range(actions))
    more = [f'[roles.r{number}]\nrank = 5\ntitle = "R"\nplaces = ["workspace"]\n' for number in range(roles)]
    more += [f'[resources."dam:r{number}"]\nactions = [{names}]\n' for number in range(types)]
    return DAM["catalog.toml"].replace("[authzen]", "".join(more) + "[authzen]")


def rules(roles: int, pattern: str = "dam:*", action: str = "*") -> str:
    return DAM["policy.csv"] + "".join(
        f"p, role:r{number}, *, {pattern}, {action}, any, allow\n" for number in range(roles)
    )


def read(text: str) -> Catalog:
    found, problems = catalog_reader.read_catalog(text, core_vocabulary())
    assert found is not None, problems
    return found


def problems(**files: str) -> list[str]:
    """Return what is wrong with dam with some files replaced."""
    replaced = {name.replace("_", "."): text for name, text in files.items()}
    try:
        refuse_failing(build_bundle({**DAM, **replaced}, core_vocabulary()), time.time())
    except BundleRefused as refused:
        return [str(problem) for problem in refused.problems]
    return []


def work(task: Callable[[], Any]) -> int:
    """Return how many calls, of Python and C functions, a task makes: what it costs, whatever the machine does."""
    count = 0

    def tick(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        task()
    finally:
        sys.setprofile(before)
    return count


# --- limits -----------------------------------------------------------------------------------------------------------


def test_rules_times_types_times_actions_are_limited_before_anything_is_compiled() -> None:
    files = {"catalog_toml": catalog(roles=900, types=300, actions=10), "policy_csv": rules(900), "tests_yaml": ""}
    found: list[list[str]] = []
    calls = work(lambda: found.append(problems(**files)))
    assert found == [
        ["policy.csv: actions that rules are about, each counted for every rule: 2,712,124, at most 100,000"]
    ]
    assert calls < 300_000  # compiling would take three for each of the 2.7 million


@pytest.mark.parametrize(
    ("most", "count", "files"),
    [
        ("MOST_COVERED", 136, {"policy_csv": rules(1), "catalog_toml": catalog(types=3, actions=4), "tests_yaml": ""}),
        ("MOST_ROWS", 60, {"policy_csv": rules(1), "catalog_toml": catalog(), "tests_yaml": ""}),
        ("MOST_HOLDERS", 11, {"catalog_toml": catalog(roles=3), "tests_yaml": ""}),
        ("MOST_ACTIONS", 100, {"catalog_toml": catalog(types=4, actions=5), "tests_yaml": ""}),
        ("MOST_QUESTIONS", 100, {}),
    ],
)
def test_each_limit_is_said_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch, most: str, count: int, files: dict[str, str]
) -> None:
    assert problems(**files) == []
    for module in ("catalog_reader", "rules_reader", "prepared"):
        monkeypatch.setattr(f"wsauthz.policy.{module}.{most}", count // 2, raising=False)
    assert len(problems(**files)) == 1
    assert problems(**files)[0].endswith(f", at most {count // 2:,}")


def test_of_very_many_problems_the_first_are_told_and_the_rest_is_not_read() -> None:
    wrong = "".join(f"p, role:r{number}, *, dam:*, read, any, allow\n" for number in range(5_000))
    found = problems(policy_csv=wrong)
    assert (len(found), found[-1]) == (
        sizes.MOST_PROBLEMS + 1,
        "policy.csv:100: there are many problems, so the lines after this one were not read",
    )
    unknown = "".join(f"key{number} = 1\n" for number in range(5_000))
    found = problems(catalog_toml=unknown + DAM["catalog.toml"])
    assert len(found) == sizes.MOST_PROBLEMS + 1
    assert found[-1].endswith("there are many problems, so the others were not looked for")


# --- what reading costs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "action"), [("*", "*"), ("dam:*", "*"), ("dam:*", "a3"), ("dam:r1/*", "*")])
def test_reading_rules_costs_the_same_whatever_they_cover(pattern: str, action: str) -> None:
    few = read(catalog(roles=200, types=3, actions=5))
    many = read(catalog(roles=200, types=300, actions=10))
    text = rules(200, pattern, action)
    alone = rules(0)

    def cost(vocabulary: Catalog) -> int:
        """Of the 200 rows, without what the vocabulary costs."""
        whole = work(lambda: rules_reader.read_rules(text, vocabulary))
        return whole - work(lambda: rules_reader.read_rules(alone, vocabulary))

    assert cost(many) < 1.2 * cost(few) + 2 * 300 * 10  # what a pattern covers is worked out once


@pytest.mark.parametrize("shape", ["chain", "circle", "fan"])
def test_inheritance_is_read_row_by_row(shape: str) -> None:
    def rows(count: int) -> str:
        pairs = {
            "chain": [(number, number + 1) for number in range(count - 1)],
            "circle": [(number, (number + 1) % count) for number in range(count)],
            "fan": [(above, below) for above in range(20) for below in range(20, count)],
        }[shape]
        return DAM["policy.csv"] + "".join(f"g, role:r{above}, role:r{below}, *\n" for above, below in pairs)

    vocabulary = read(catalog(roles=800))
    costs = [work(lambda count=count: rules_reader.read_rules(rows(count), vocabulary)) for count in (200, 800)]  # type: ignore[misc]
    assert costs[1] < 6 * costs[0]


def test_a_catalog_costs_as_much_as_it_is_long() -> None:
    costs = [
        work(lambda size=size: read(catalog(types=size, actions=size)))  # type: ignore[misc]
        for size in (20, 80)
    ]
    assert costs[1] < 20 * costs[0]


def test_no_garbage_is_collected_while_a_running_server_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collection over a hundred thousand rows stops every decision for a quarter of a second."""
    directory = tmp_path / "dam"
    shutil.copytree(BUNDLES / "dam", directory)
    policy = CurrentPolicy(directory, core_vocabulary())
    files = {"catalog.toml": catalog(roles=30, types=100, actions=10), "policy.csv": rules(30)}
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "tests.yaml").write_text(
        "- {name: one, expect: [{subject: ann, workspace: w, check: workspace view, reason: WORKSPACE_NOT_FOUND}]}\n"
    )
    collections: list[str] = []
    compile_bundle = build_bundle

    def watched(*arguments: Any) -> Bundle:
        gc.callbacks.append(count)
        try:
            return compile_bundle(*arguments)
        finally:
            gc.callbacks.remove(count)

    def count(phase: str, _: object) -> None:
        collections.append(phase)

    monkeypatch.setattr(current, "build_bundle", watched)
    assert policy.read().changed
    assert (collections, gc.isenabled()) == ([], True)
