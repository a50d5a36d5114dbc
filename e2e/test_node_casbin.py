"""node-casbin, another Casbin altogether, answers from an exported policy what the engine answers.

Needs node 18 or newer and npm with a registry; installs e2e/casbin/node_modules.
"""

import json
import shutil
import subprocess
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
QUESTIONS = 1_000


@pytest.fixture(scope="module")
def node() -> str:
    """Return the path of node, with casbin installed beside the script."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.fail("needs node 18 or newer with npm on the PATH")
    subprocess.run([npm, "ci", "--silent"], cwd=HERE, check=True)
    return found


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
@pytest.mark.req("REQ-147")
def test_node_casbin_answers_as_the_engine(node: str, directory: Path | None, tmp_path: Path) -> None:
    world, questions = _world(directory)
    facts = load(world.state)
    model, policy = export_policy(world.bundle, world.state.rows(), NOW)
    requests = [_request(question) for question in questions]
    for name, text in (("model.conf", model), ("policy.csv", policy), ("questions.json", json.dumps(requests))):
        (tmp_path / name).write_text(text, "utf-8")
    files = [str(tmp_path / name) for name in ("model.conf", "policy.csv", "questions.json")]
    output = subprocess.run([node, str(HERE / "answer.mjs"), *files], check=True, capture_output=True, text=True)
    engine = [_engine(world, facts, question) for question in questions]
    node_casbin = json.loads(output.stdout)
    enforcer = casbin.Enforcer(*files[:2])
    pycasbin = [enforcer.enforce(*request) for request in requests]
    print(
        f"\n{world.bundle.catalog.name}: {len(questions)} questions over {policy.count(chr(10))} rows, "
        f"{sum(engine)} allowed; differences: node-casbin {_differing(engine, node_casbin)}, "
        f"pycasbin {_differing(engine, pycasbin)}"
    )
    assert node_casbin == engine
    assert pycasbin == engine
    assert any(engine)
    assert not all(engine)


def _world(directory: Path | None) -> tuple[World, list[Question]]:
    """Return a world and questions about places and users that the rules alone can answer."""
    chance = Random("node-casbin")
    bundle = bundles.shipped_bundle(directory) if directory is not None else None
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
