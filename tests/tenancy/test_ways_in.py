"""Import, `given:` and RPCs make the same of the same memberships, in whatever order they come."""

from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Any, Final

import pytest
import yaml

from tests.oracle.agreement import picture
from tests.tenancy.world import World, policy
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.policy.facts import Facts
from wsauthz.policy.state_file import State, read_state
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy import memberships
from wsauthz.tenancy.imports import import_state

SHORT, LONG = 15, 500
BOSS: Final = "boss"
UNKNOWN: Final = {"allow_unknown_users": True}
"""These files name users by id alone."""
USERS: Final = ("ann", "ann2", "organization:o", "o", "w", "auth0|5f7c")
"""Named like places, and like one another's beginnings."""
ENDS: Final = (None, None, "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2099-01-01T00:00:00.000001Z")
OVER: Final = "2020-01-01T00:00:00Z"

Row = dict[str, Any]


class Case:
    """A random tree with random memberships; a prefix of every id tells the cases and the ways in apart."""

    def __init__(self, chance: Random, world: World) -> None:
        catalog = world.replica.rules.catalog
        self.modules = list(catalog.modules)
        self.roles = [
            role.name
            for role in catalog.roles.values()
            if role.assignable and not role.owner_like and "workspace" in role.places
        ]
        self.organizations = ["o", "ow"][: chance.randint(1, 2)]
        self.workspaces: list[Row] = []
        for name in ("w", "w1", "ow", "o", "w11"):
            parent = chance.choice([None, *self.workspaces])
            place = {"organization": chance.choice([None, *self.organizations, "o"])}
            if parent is not None:
                place = {"parent": parent["id"]}
            self.workspaces.append({"id": name, "owner": BOSS, **place})
        pairs = [(workspace["id"], user) for workspace in self.workspaces for user in USERS]
        self.counting = [self._row(chance, *pair) for pair in chance.sample(pairs, chance.randint(0, 12))]
        held = {(row["workspace"], row["user"]) for row in self.counting}
        others = [pair for pair in pairs if pair not in held]
        self.idle = [self._row(chance, *pair) | self._over(chance) for pair in chance.sample(others, 5)]
        self.set = [
            {
                "organization": organization,
                "user": user,
                "role": catalog.default_organization_role,
                **self._terms(chance),
            }
            for organization in self.organizations
            for user in USERS
            if chance.random() < 0.2
        ]

    def _row(self, chance: Random, workspace: str, user: str) -> Row:
        return {"workspace": workspace, "user": user, "role": chance.choice(self.roles), **self._terms(chance)}

    def _terms(self, chance: Random) -> Row:
        modules = chance.sample(self.modules, chance.randint(0, len(self.modules))) if chance.random() < 0.6 else None
        return {"modules": modules, "expires_at": chance.choice(ENDS)}

    def _over(self, chance: Random) -> Row:
        return chance.choice([{"is_active": False}, {"expires_at": OVER}, {"is_active": False, "expires_at": OVER}])

    def state(self, prefix: str, rows: list[Row]) -> State:
        """Return a state file with the places and these memberships."""
        named = {
            "organizations": [{"id": prefix + each} for each in self.organizations],
            "workspaces": [_prefixed(prefix, each) for each in self.workspaces],
            "memberships": [_prefixed(prefix, each) for each in rows],
        }
        return read_state(yaml.safe_dump(named), "yaml")


def _prefixed(prefix: str, row: Mapping[str, Any]) -> Row:
    keys = {"id", "organization", "parent", "workspace", "user"}
    return {key: prefix + value if key in keys and value is not None else value for key, value in row.items()}


def by_import(world: World, prefix: str, case: Case, chance: Random) -> None:
    """Import everything at once, or in two files."""
    rows = chance.sample(everything := [*case.counting, *case.idle, *case.set], len(everything))
    first = case.set + [row for row in rows if row not in case.set and chance.random() < 0.5]
    world.write("", import_state, case.state(prefix, first if chance.random() < 0.5 else rows), **UNKNOWN)
    world.write("", import_state, case.state(prefix, rows), **UNKNOWN)


def by_rpc(world: World, prefix: str, case: Case, chance: Random) -> None:
    """Import what brings nothing, then add, change, remove and add again until all is as it should be."""
    world.write("", import_state, case.state(prefix, case.idle), **UNKNOWN)
    for row in case.set:
        _add(world, prefix, ("organization", row["organization"]), row)
    for row in chance.sample(case.counting, len(case.counting)):
        place: PlaceKey = ("workspace", row["workspace"])
        before = {**row, **case._terms(chance)}
        if chance.random() < 0.5:
            _add(world, prefix, place, before)
            if chance.random() < 0.3:
                world.write(BOSS, memberships.remove, place=_named(prefix, place), user_id=prefix + row["user"])
                _add(world, prefix, place, row)
            else:
                values = {"modules": _modules(row), "expires_at": _time(row)}
                asked = {"place": _named(prefix, place), "user_id": prefix + row["user"], "values": values}
                world.write(BOSS, memberships.update, **asked)
        else:
            _add(world, prefix, place, row)


def _add(world: World, prefix: str, place: PlaceKey, row: Row) -> None:
    values = {"role": row["role"], "modules": _modules(row), "expires_at": _time(row)}
    actor, user = BOSS if place[0] == "workspace" else "op", world.known(prefix + row["user"])
    world.write(actor, memberships.add, place=_named(prefix, place), user_id=user, **values)


def _named(prefix: str, place: PlaceKey) -> PlaceKey:
    return (place[0], prefix + place[1])


def _modules(row: Row) -> tuple[str, ...] | None:
    return None if row["modules"] is None else tuple(row["modules"])


def _time(row: Row) -> datetime | None:
    return None if row["expires_at"] is None else datetime.fromisoformat(row["expires_at"])


def by_given(world: World, prefix: str, case: Case) -> Facts:
    """Return the facts of a scenario with this as `given:`."""
    facts = Facts()
    state = case.state(prefix, [*case.counting, *case.idle, *case.set])
    state.apply_to(facts, world.replica.rules.catalog, world.replica.now())
    return facts


def grants(facts: Facts, prefix: str) -> dict[Any, Any]:
    """Return who holds what, of one case."""
    found = picture(facts)["grants"]
    return {
        (kind, identifier.removeprefix(prefix), user.removeprefix(prefix)): grant
        for user, held in found.items()
        for (kind, identifier), grant in held.items()
        if identifier.startswith(prefix)
    }


def derived(world: World, prefix: str) -> set[tuple[str, str]]:
    """Return the derived memberships in the database, of one case."""
    rows: list[Membership] = world.row(lambda connection: list(membership_rows.every(connection)))
    found = [each for each in rows if each.is_derived and each.user_id.startswith(prefix)]
    return {(str(each.organization_id).removeprefix(prefix), each.user_id.removeprefix(prefix)) for each in found}


def compare(world: World, count: int) -> None:
    brought = 0
    for number in range(count):
        chance = Random(f"ways in {number}")
        case = Case(chance, world)
        ways = [f"{way}{number}-" for way in ("import", "rpc", "given")]
        by_import(world, ways[0], case, chance)
        by_rpc(world, ways[1], case, chance)
        imported, called = (grants(world.replica.facts, way) for way in ways[:2])
        assert imported == called, number
        assert imported == grants(by_given(world, ways[2], case), ways[2]), number
        assert derived(world, ways[0]) == derived(world, ways[1]), number
        brought += len(derived(world, ways[0]))
    assert brought > count  # else the cases are at fault
    assert world.facts_agree()


@pytest.mark.req("REQ-054")
@pytest.mark.parametrize("bundle", ["dam", "oneglanse"])
def test_the_same_memberships_by_import_by_given_and_by_rpcs_are_the_same_facts(database_url: str, bundle: str) -> None:
    world = World(database_url, policy(bundle))
    compare(world, SHORT)
    world.database.close()


@pytest.mark.soak
def test_they_are_for_five_hundred_states(database_url: str) -> None:
    world = World(database_url, policy("dam"))
    compare(world, LONG)
    world.database.close()
