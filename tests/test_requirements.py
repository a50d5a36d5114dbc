"""Which RPC carries a requirement and which test shows it: docs/requirements.yaml, and the marks of the tests.

The marks - ``req`` of the tests, ``req:`` in the cases - are read from the files, so it does not matter which of them
run. ``docs/requirements.md`` (tools/requirements_page.py) shows the whole table.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from wsauthz.rpc.methods import methods

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = ROOT / "tests"
TABLE: Final = ROOT / "docs" / "requirements.yaml"
NUMBERS: Final = tuple(f"REQ-{number:03}" for number in range(1, 152))

_CASE: Final = re.compile(r"\breq: \[([^\]]*)\]")
_NAME: Final = re.compile(r"REQ-\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing that a product's document asks for."""

    says: str
    rpcs: tuple[str, ...]
    instead: str
    """What carries it where no RPC does; empty: RPCs do."""
    outside: str
    """Why it is none of this project's; empty: it is."""


@cache
def requirements() -> Mapping[str, Requirement]:
    """Return every requirement by its number."""
    rows = yaml.safe_load(TABLE.read_text())
    return {
        name: Requirement(
            says=row["says"],
            rpcs=tuple(row.get("rpcs", ())),
            instead=row.get("instead", ""),
            outside=row.get("outside", ""),
        )
        for name, row in rows.items()
    }


@cache
def shown() -> Mapping[str, list[str]]:
    """Return the requirements that tests show, each with those tests: ``file::test``, or the file of cases."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for name, test in _marks(path):
            tests = found.setdefault(name, [])
            if test not in tests:
                tests.append(test)
    for path in sorted(TESTS.rglob("*.yaml")):
        for name in sorted({name for match in _CASE.finditer(path.read_text()) for name in _NAME.findall(match[1])}):
            found.setdefault(name, []).append(str(path.relative_to(TESTS)))
    return found


def _marks(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each requirement marked in a file, with the test that it marks, or the file if it marks more than one."""
    file, text = str(path.relative_to(TESTS)), path.read_text()
    if "mark.req" not in text:
        return
    tree = ast.parse(text)
    owners = {
        id(node): f"{file}::{function.name}"
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_mark(node.func):
            for argument in node.args:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value), owners.get(id(node), file)


def _is_mark(called: Any) -> bool:
    return isinstance(called, ast.Attribute) and called.attr == "req" and ast.unparse(called) == "pytest.mark.req"


def test_the_table_has_every_requirement_once_and_in_order() -> None:
    assert tuple(requirements()) == NUMBERS


def test_every_mark_names_a_requirement() -> None:
    assert not set(shown()) - set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_requirement_is_carried_by_an_rpc_and_shown_by_a_test_or_is_outside(name: str) -> None:
    requirement = requirements()[name]
    names = {method.name for method in methods().values()}
    assert set(requirement.rpcs) <= names
    assert bool(requirement.rpcs) + bool(requirement.instead) + bool(requirement.outside) == 1
    if not requirement.outside:
        assert shown().get(name), f"no test shows {name}: {requirement.says}"
