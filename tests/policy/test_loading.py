"""Facts that are filled at once are those that come of applying every row, and go on like them."""

from random import Random
from typing import Any

import pytest

from tests.oracle import worlds
from tests.oracle.agreement import picture
from wsauthz.policy.facts import Facts
from wsauthz.policy.loading import fill

KINDS = ("organization", "workspace", "subscription", "user", "membership")


def applied(rows: list[tuple[str, Any]]) -> Facts:
    facts = Facts()
    for kind, values in rows:
        facts.apply(kind, values)
    return facts


def filled(rows: list[tuple[str, Any]]) -> Facts:
    facts = Facts()
    assert list(fill(facts, rows)) == list(range(1, len(rows) + 1))
    return facts


@pytest.mark.parametrize("seed", range(40))
def test_filling_is_applying(seed: int) -> None:
    chance = Random(f"filling {seed}")
    world = worlds.random_world(chance, size=24)
    rows = list(world.state.rows())
    assert {kind for kind, _ in rows} <= {*KINDS}
    memberships = [row for row in rows if row[0] == "membership"]
    others = [row for row in rows if row[0] != "membership"]
    one, other = applied(rows), filled(rows)
    assert picture(one) == picture(other)
    assert one.deactivated == other.deactivated
    chance.shuffle(memberships)
    assert picture(filled([*others, *memberships])) == picture(one)
    for _ in range(10):
        # Whatever comes afterwards has the same effect on both.
        kind, values = chance.choice(rows)
        gone = {**values, "deleted": True} if chance.random() < 0.5 else values
        if kind in {"user", "membership", "subscription"}:
            one.apply(kind, gone)
            other.apply(kind, gone)
            assert picture(one) == picture(other)


def test_grants_that_say_the_same_are_one_unless_they_expire() -> None:
    place = {"workspace_id": None, "organization_id": None}
    says = {"role": "operator", "permissions": ["a"], "modules": ["dam"], "is_active": True}
    rows: list[tuple[str, Any]] = [
        ("membership", {**place, **says, "user_id": user, "expires_at": None}) for user in ("ann", "bob")
    ]
    rows += [("membership", {**place, **says, "user_id": user, "expires_at": 5.0}) for user in ("cat", "dan")]
    facts = filled(rows)
    ann, bob, cat, dan = (facts.grants[user][facts.platform] for user in ("ann", "bob", "cat", "dan"))
    assert ann is bob
    assert cat == dan == ann._replace(expires_at=5.0)
    assert cat.modules is ann.modules


def test_nothing_makes_empty_facts() -> None:
    assert picture(filled([])) == picture(Facts())


def test_a_membership_of_no_place_is_an_error() -> None:
    says: dict[str, Any] = {"role": "viewer", "permissions": [], "modules": None, "is_active": True, "expires_at": None}
    row = ("membership", {"workspace_id": "nowhere", "organization_id": None, "user_id": "ann", **says})
    with pytest.raises(KeyError):
        filled([row])
