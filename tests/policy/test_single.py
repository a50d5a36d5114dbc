"""A mapping with one entry, and users who come to hold more than one grant and lose them again."""

import pytest

from wsauthz.policy.facts import Facts, Grants
from wsauthz.policy.single import Single


def test_it_is_a_mapping_of_one_key() -> None:
    found = Single("a", 1)
    assert dict(found) == {"a": 1} == found
    assert (len(found), list(found), "a" in found, "b" in found) == (1, ["a"], True, False)
    assert (found["a"], found.get("a"), found.get("b"), found.get("b", 2)) == (1, 1, None, 2)
    with pytest.raises(KeyError):
        found["b"]


def membership(place: str, role: str, **values: object) -> dict[str, object]:
    usual = {"permissions": (), "modules": None, "is_active": True, "expires_at": None}
    return {"workspace_id": None, "organization_id": place, "user_id": "ann", "role": role, **usual, **values}


def held(facts: Facts) -> dict[str, str]:
    grants: Grants = facts.grants.get("ann", {})
    return {place.key[1]: grant.role for place, grant in grants.items()}


def test_grants_come_and_go_and_change() -> None:
    facts = Facts()
    for name in ("north", "south"):
        facts.apply("organization", {"id": name, "is_suspended": False})
    steps: list[tuple[dict[str, object], dict[str, str]]] = [
        (membership("north", "viewer"), {"north": "viewer"}),
        (membership("north", "editor"), {"north": "editor"}),
        (membership("south", "viewer", deleted=True), {"north": "editor"}),
        (membership("south", "viewer"), {"north": "editor", "south": "viewer"}),
        (membership("south", "editor"), {"north": "editor", "south": "editor"}),
        (membership("north", "editor", deleted=True), {"south": "editor"}),
        (membership("south", "viewer"), {"south": "viewer"}),
        (membership("south", "viewer", deleted=True), {}),
    ]
    for change, expected in steps:
        facts.apply("membership", change)
        assert held(facts) == expected
        assert facts.roles.total() == len(expected)
    assert not facts.grants


def test_two_users_with_the_same_membership_do_not_change_together() -> None:
    facts = Facts()
    facts.apply("organization", {"id": "north", "is_suspended": False})
    for user in ("ann", "bob"):
        facts.apply("membership", membership("north", "viewer", user_id=user))
    facts.apply("membership", membership("north", "editor", user_id="bob"))
    assert held(facts) == {"north": "viewer"}
