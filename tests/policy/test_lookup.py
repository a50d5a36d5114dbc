"""The reverse look-ups in small steps: short pages lose nothing, and no call does more than its share."""

from random import Random
from typing import Any

import pytest

from tests.oracle import bundles, worlds
from tests.oracle.agreement import load, reverse_differences
from wsauthz.policy import candidates, decision, lookup
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.facts import Facts
from wsauthz.rpc.methods import core_vocabulary

NOW = 1_800_000_000.0
MANY = 10_000


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(next(path for path in bundles.shipped() if path.name == "default"), core_vocabulary())


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the subjects of the decisions of a test, as they are made."""
    made: list[str] = []
    original = decision.allowing

    def allowing(facts: Any, rules: Any, now: float, question: Any) -> Any:
        made.append(question.subject)
        return original(facts, rules, now, question)

    monkeypatch.setattr(lookup, "allowing", allowing)
    return made


def membership(user: str, role: str, workspace: str | None = None) -> dict[str, Any]:
    return {
        "workspace_id": workspace,
        "organization_id": None,
        "user_id": user,
        "role": role,
        "permissions": [],
        "modules": None,
        "is_active": True,
        "expires_at": None,
    }


def workspace(number: int, bundle: Bundle, parent: str | None = None) -> dict[str, Any]:
    return {
        "id": f"w{number:05}",
        "organization_id": None,
        "parent_workspace_id": parent,
        "owner_user_id": "owner",
        "is_active": True,
        "is_suspended": False,
        "modules": list(bundle.catalog.modules),
        "child_workspaces": None,
    }


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_pages_that_end_early_leave_nothing_out(monkeypatch: pytest.MonkeyPatch, directory: Any) -> None:
    for name, value in {"MOST_DECIDED": 2, "_AT_ONCE": 3, "_MOST_LOOKED_AT": 6}.items():
        monkeypatch.setattr(lookup, name, value)
    monkeypatch.setattr(candidates, "MOST_PLACES", 3)
    chance = Random(f"short {directory and directory.name}")
    for _ in range(4):
        world = worlds.random_world(chance, bundle=bundles.shipped_bundle(directory) if directory else None)
        facts = load(world.state)
        for number in range(20):
            question = worlds.random_question(chance, world)
            assert not reverse_differences(world, facts, question, page=1 + number % 4)


def test_who_could_not_be_allowed_is_not_looked_at(bundle: Bundle, decided: list[str]) -> None:
    facts = Facts()
    facts.apply("workspace", workspace(0, bundle))
    for number in range(MANY):
        facts.apply("user", {"id": f"u{number:05}", "is_active": True})
        facts.apply("membership", membership(f"u{number:05}", "member", "w00000"))
    facts.apply("membership", membership("root", bundle.catalog.operator_role))
    asked: dict[str, Any] = {"resource": "policy", "action": "reload", "limit": 100}
    assert lookup.subjects(facts, bundle.rules, NOW, place=("platform", ""), **asked) == (["root"], "")
    assert decided == ["root"]


def test_a_call_ends_after_its_share_of_the_members(bundle: Bundle, decided: list[str]) -> None:
    """All could be allowed by their role, and the last one alone is: the others are deactivated."""
    facts = Facts()
    facts.apply("workspace", workspace(0, bundle))
    for number in range(MANY):
        facts.apply("user", {"id": f"u{number:05}", "is_active": number == MANY - 1})
        facts.apply("membership", membership(f"u{number:05}", "member", "w00000"))
    facts.apply("user", {"id": "owner", "is_active": False})
    found: list[str] = []
    after, calls = "", 0
    while calls == 0 or after:
        asked: dict[str, Any] = {"resource": "workspace", "action": "view", "after": after, "limit": 100}
        ids, after = lookup.subjects(facts, bundle.rules, NOW, place=("workspace", "w00000"), **asked)
        found += ids
        calls += 1
        assert calls < MANY
    assert found == [f"u{MANY - 1:05}"]
    assert calls > 2


@pytest.mark.parametrize("parent", [None, "w00000"])
def test_an_operator_of_very_many_workspaces_gets_them_page_by_page(
    bundle: Bundle, decided: list[str], parent: str | None
) -> None:
    facts = Facts()
    for number in range(MANY):
        facts.apply("workspace", workspace(number, bundle, parent if number else None))
    facts.apply("membership", membership("root", bundle.catalog.operator_role))
    found: list[str] = []
    after, calls = "", 0
    while calls == 0 or after:
        asked: dict[str, Any] = {"resource": "workspace", "action": "view", "after": after, "limit": 1_000}
        ids, after = lookup.workspaces(facts, bundle.rules, NOW, subject="root", **asked)
        found += ids
        calls += 1
        assert len(decided) <= calls * lookup.MOST_DECIDED
    assert found == [f"w{number:05}" for number in range(MANY)]


def test_a_role_that_allows_nothing_of_it_leads_nowhere(bundle: Bundle, decided: list[str]) -> None:
    facts = Facts()
    for number in range(100):
        facts.apply("workspace", workspace(number, bundle))
        facts.apply("membership", membership("ann", "viewer", f"w{number:05}"))
    asked: dict[str, Any] = {"resource": "member", "action": "remove", "limit": 100}
    assert lookup.workspaces(facts, bundle.rules, NOW, subject="ann", **asked) == ([], "")
    assert not decided
