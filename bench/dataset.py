"""Made-up tenants of any size from a seed: organizations, trees of depth 1 to 8, skewed numbers of members.

The same size and seed give the same rows everywhere: in process, in a database file and for stock Casbin.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from random import Random
from typing import Any, Final

from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.catalog import Catalog

Values = dict[str, Any]
Row = tuple[str, Values]
"""A kind and its values, as ``Facts.apply`` takes them."""

SEED: Final = 20_250_101
NOW: Final = 1_800_000_000.0
"""The moment of all questions, in Unix seconds; memberships expire before or after it."""
DEPTH: Final = 8
_YEAR: Final = 365 * 86_400.0
_MEMBERSHIPS_PER_WORKSPACE: Final = 20
_SKEW: Final = 0.8
"""A workspace's share of the members is its rank to the power of minus this: at a million the largest has 23,000."""
_ROLES: Final = {"owner": 2, "admin": 8, "moderator": 10, "member": 50, "viewer": 28, "barred": 2}
"""Role of a membership in a workspace -> its share, in hundredths; those the catalog has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The rows of one made-up installation, in an order in which they can be applied."""

    organizations: tuple[Values, ...]
    workspaces: tuple[Values, ...]
    subscriptions: tuple[Values, ...]
    users: tuple[Values, ...]
    memberships: tuple[Values, ...]
    depths: Mapping[str, int]
    """Workspace id -> how many workspaces are on the way from the root of its tree, itself included."""

    def rows(self) -> Iterator[Row]:
        """Yield every row."""
        yield from (("organization", values) for values in self.organizations)
        yield from (("workspace", values) for values in self.workspaces)
        yield from (("subscription", values) for values in self.subscriptions)
        yield from (("user", values) for values in self.users)
        yield from (("membership", values) for values in self.memberships)

    def __str__(self) -> str:
        return (
            f"{len(self.memberships):,} memberships of {len(self.users):,} users in {len(self.workspaces):,} workspaces "
            f"(depth 1 to {max(self.depths.values())}) and {len(self.organizations):,} organizations"
        )


def make(catalog: Catalog, memberships: int, seed: int = SEED) -> Dataset:
    """Return a data set with exactly so many memberships and everything else in proportion."""
    chance = Random(seed)
    users = [_id(chance, "user") for _ in range(max(1, memberships * 3 // 4))]
    organizations = [
        {"id": _id(chance, "organization"), "is_suspended": chance.random() < 0.01}
        for _ in range(max(1, memberships // 200))
    ]
    workspaces, depths = _trees(
        chance, catalog, organizations, users, max(DEPTH, memberships // _MEMBERSHIPS_PER_WORKSPACE)
    )
    roots = [values["id"] for values in workspaces if values["parent_workspace_id"] is None]
    plans = list(catalog.plans)
    return Dataset(
        organizations=tuple(organizations),
        workspaces=tuple(workspaces),
        subscriptions=tuple(
            {"workspace_id": root, "plan": chance.choice(plans), "status": chance.choices((2, 4), (95, 5))[0]}
            for root in (roots if plans else ())
            if chance.random() < 0.8
        ),
        users=tuple({"id": user, "is_active": chance.random() >= 0.01} for user in users),
        memberships=tuple(_memberships(chance, catalog, organizations, workspaces, users, memberships)),
        depths=depths,
    )


def _trees(
    chance: Random, catalog: Catalog, organizations: list[Values], users: list[str], count: int
) -> tuple[list[Values], dict[str, int]]:
    """Return workspaces, parents first, and their depths; a chain of every depth, then trees that grow at random."""
    made: list[Values] = []
    depths: dict[str, int] = {}
    tree: list[Values] = []
    target = DEPTH
    parent: Values | None
    while len(made) < count:
        parent = None
        if tree:
            # The first workspaces of a tree make a chain down to its depth; the others hang anywhere on it.
            parent = tree[-1] if len(tree) < target else chance.choice(tree[: target - 1])
        organization = chance.choice(organizations)["id"] if parent is None and chance.random() < 0.7 else None
        identifier = _id(chance, "workspace")
        values = {
            "id": identifier,
            "organization_id": parent["organization_id"] if parent else organization,
            "parent_workspace_id": parent["id"] if parent else None,
            "owner_user_id": chance.choice(users),
            "is_active": chance.random() >= 0.01,
            "is_suspended": chance.random() < 0.02,
            "modules": _modules(chance, catalog, 0.2),
            "child_workspaces": None,
        }
        made.append(values)
        depths[identifier] = depths[parent["id"]] + 1 if parent else 1
        tree.append(values)
        if len(tree) >= target and (target == 1 or chance.random() < 0.4):
            tree = []
            target = chance.choices(range(1, DEPTH + 1), (40, 20, 12, 9, 7, 5, 4, 3))[0]
    return made, depths


def _memberships(
    chance: Random,
    catalog: Catalog,
    organizations: list[Values],
    workspaces: list[Values],
    users: list[str],
    count: int,
) -> Iterator[Values]:
    roles = [role for role in _ROLES if role in catalog.roles]
    shares = list(accumulate(_ROLES[role] for role in roles))
    ids = [values["id"] for values in workspaces]
    chance.shuffle(ids)
    weights = list(accumulate(rank**-_SKEW for rank in range(1, len(ids) + 1)))
    yield membership(PLATFORM, users[0], catalog.operator_role)
    left = count - 1
    taken: set[tuple[str, PlaceKey]] = set()
    for user in chain(users[1:], _consultants(chance, users)):
        if left == 0:
            return
        place: PlaceKey = ("workspace", chance.choices(ids, cum_weights=weights)[0])
        role = chance.choices(roles, cum_weights=shares)[0]
        kind = chance.random()
        if kind < 0.03:
            place, role = ("organization", chance.choice(organizations)["id"]), catalog.default_organization_role
        if (user, place) in taken:
            continue
        taken.add((user, place))
        left -= 1
        values = membership(place, user, role)
        if kind > 0.95:
            values["permissions"] = [chance.choice(list(catalog.permissions))]
        elif kind > 0.85:
            values["modules"] = _modules(chance, catalog, 0.5)
        elif kind > 0.83:
            values["is_active"] = False
        elif kind > 0.78:
            values["expires_at"] = NOW + chance.uniform(-0.14, 1) * _YEAR
        yield values


def _consultants(chance: Random, users: list[str]) -> Iterator[str]:
    """Yield a fifth of the users again and again, a few of them far more often than others."""
    some = users[: max(1, len(users) // 5)]
    while True:
        yield some[int(len(some) * chance.random() ** 3)]


def membership(place: PlaceKey, user: str, role: str) -> Values:
    """Return a plain membership."""
    return {
        "workspace_id": place[1] if place[0] == "workspace" else None,
        "organization_id": place[1] if place[0] == "organization" else None,
        "user_id": user,
        "role": role,
        "permissions": [],
        "modules": None,
        "is_active": True,
        "expires_at": None,
    }


def _modules(chance: Random, catalog: Catalog, missing: float) -> list[str]:
    """Return the catalog's modules, sometimes without one of them."""
    modules = list(catalog.modules)
    if modules and chance.random() < missing:
        modules.remove(chance.choice(modules))
    return modules


def _id(chance: Random, noun: str) -> str:
    return f"{noun}_{chance.getrandbits(64):016x}"
