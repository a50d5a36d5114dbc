"""Other Casbins load an exported policy as it is, and answer what the engine answers: for Node, and for Go v2 and v3.

Needs node 18 or newer with npm, go 1.22 or newer, and their registries; installs e2e/casbin/node_modules.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import casbin
import pytest

from tests.oracle import bundles, worlds
from tests.oracle.agreement import load
from tests.oracle.plain_state import Question, exists
from tests.oracle.worlds import NOW, World
from wsauthz.policy import terms
from wsauthz.policy.stock import export_policy, rules_allow

HERE = Path(__file__).parent / "casbin"
QUESTIONS = 2_000
"""Of each bundle and each random one; 10,000 and more in all."""
RANDOM = 4
"""Random bundles with random states."""

Ask = Callable[[Path, Path, Path], list[bool]]
"""Answers the questions of a file by a model and a policy."""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ask]:
    """Return the other Casbins by name, installed."""
    npm, go = _needed("npm", "node 18 or newer with npm"), _needed("go", "go 1.22 or newer")
    subprocess.run([npm, "ci", "--silent"], cwd=HERE, check=True)
    built = tmp_path_factory.mktemp("go") / "answer"
    subprocess.run([go, "build", "-o", built, "."], cwd=HERE / "go", check=True)
    return {
        "node-casbin": _command(_needed("node", "node 18 or newer"), str(HERE / "answer.mjs")),
        "Go casbin v2": _command(str(built), "v2"),
        "Go casbin v3": _command(str(built), "v3"),
        "pycasbin": _pycasbin,
    }


@pytest.mark.parametrize(
    "directory", [*bundles.shipped(), *range(RANDOM)], ids=lambda found: getattr(found, "name", f"random {found}")
)
@pytest.mark.req("REQ-147")
def test_other_casbins_answer_as_the_engine(others: dict[str, Ask], directory: Path | int, tmp_path: Path) -> None:
    world, questions = _world(directory)
    facts = load(world.state)
    model, policy = export_policy(world.bundle, world.state.rows(), NOW)
    requests = [_request(question) for question in questions]
    files = tmp_path / "model.conf", tmp_path / "policy.csv", tmp_path / "questions.json"
    for file, text in zip(files, (model, policy, json.dumps(requests)), strict=True):
        file.write_text(text, "utf-8")
    engine = [_engine(world, facts, question) for question in questions]
    answers = {name: ask(*files) for name, ask in others.items()}
    differing = {name: _differing(engine, found) for name, found in answers.items()}
    print(
        f"\n{world.bundle.catalog.name}: {len(questions)} questions over {policy.count(chr(10))} rows, "
        f"{sum(engine)} allowed; differences: {differing}"
    )
    assert set(differing.values()) == {0}
    assert any(engine)
    assert not all(engine)


def _needed(command: str, what: str) -> str:
    found = shutil.which(command)
    if found is None:
        pytest.fail(f"needs {what} on the PATH")
    return found


def _command(*command: str) -> Ask:
    def ask(*files: Path) -> list[bool]:
        output = subprocess.run([*command, *map(str, files)], check=False, capture_output=True, text=True)
        assert output.returncode == 0, output.stderr
        found: list[bool] = json.loads(output.stdout)
        return found

    return ask


def _pycasbin(model: Path, policy: Path, questions: Path) -> list[bool]:
    enforcer = casbin.Enforcer(str(model), str(policy))
    return [bool(enforcer.enforce(*request)) for request in json.loads(questions.read_text("utf-8"))]


def _world(directory: Path | int) -> tuple[World, list[Question]]:
    """Return a world and questions about places and users that the rules alone can answer."""
    chance = Random(f"other casbins {directory if isinstance(directory, int) else directory.name}")
    bundle = bundles.shipped_bundle(directory) if isinstance(directory, Path) else None
    world = worlds.random_world(chance, size=24, bundle=bundle)
    questions: list[Question] = []
    while len(questions) < QUESTIONS:
        question = worlds.random_question(chance, world)
        if question.place is not None and exists(world.state, question.place):
            questions.append(question)
    return world, questions


def _request(question: Question) -> list[str]:
    """Return the question as Casbin is asked it."""
    place: Any = question.place
    kind, _, identifier = question.resource.partition("/")
    where = terms.place(place)
    return [
        terms.user(question.subject),
        where,
        f"{where}#{terms.module_of(kind)}",
        f"{kind}/{identifier}",
        question.action,
    ]


def _engine(world: World, facts: Any, question: Question) -> bool:
    place: Any = question.place
    return rules_allow(facts, world.bundle, NOW, question.subject, place, question.resource, question.action)


def _differing(left: list[bool], right: list[bool]) -> int:
    return sum(one != other for one, other in zip(left, right, strict=True))
