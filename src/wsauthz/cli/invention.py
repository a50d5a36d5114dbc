"""A state that nobody has: as large as wanted, shaped like real ones, the same for the same seed.

Every name that means something - roles, permissions, modules, plans, providers - is taken from the catalog.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from wsauthz.model.places import PlaceKind
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.policy.catalog import Catalog, Role

Record = tuple[str, Mapping[str, Any]]
"""Kind, and values by the keys of a state file."""

_NAMES: Final = ("Ada", "Bela", "Dario", "Elif", "Femi", "Greta", "Hana", "Jonas", "Kofi", "Lena", "Omar", "Rosa")
_MOODS: Final = ("Amber", "Bold", "Calm", "Early", "Golden", "High", "Inner", "Keen", "Mellow", "Open", "Quiet")
_THINGS: Final = ("Anchor", "Bridge", "Canvas", "Dune", "Ember", "Field", "Garden", "Harbour", "Kite", "Orchard")

_DEEPEST: Final = 8
_RECENT: Final = 40
"""Among how many of the newest workspaces a child's parent is chosen: few make deep trees, many make broad ones."""
_MEMBERSHIPS_PER_USER: Final = 4
_PAST: Final = "2024-03-01T00:00:00Z"
_FUTURE: Final = "2099-01-01T00:00:00Z"
_STATUSES: Final = {
    SubscriptionStatus.ACTIVE: 70,
    SubscriptionStatus.TRIALING: 12,
    SubscriptionStatus.PAST_DUE: 8,
    SubscriptionStatus.EXPIRED: 6,
    SubscriptionStatus.CANCELLED: 4,
}
"""How many of a hundred subscriptions are what."""


@dataclass(slots=True)
class _Workspace:
    id: str
    owner: str
    organization: str | None
    depth: int
    modules: list[str]
    parent: str | None


@dataclass(slots=True)
class _World:
    catalog: Catalog
    chance: Random
    users: Sequence[str]
    owned: dict[str, int] = field(default_factory=dict)
    in_organizations: dict[str, set[str]] = field(default_factory=dict)
    """Organization -> whoever is a member of one of its workspaces."""

    def happens(self, percent: float) -> bool:
        return self.chance.random() * 100 < percent

    def somebody(self) -> str:
        """Return a user; some are met much more often than others."""
        return self.users[int(len(self.users) * self.chance.random() ** 2)]

    def some(self, names: Sequence[str]) -> list[str]:
        """Return some of the names, at least one if there are any, in their order."""
        chosen = set(self.chance.sample(range(len(names)), self.chance.randint(1, len(names)))) if names else set()
        return [name for position, name in enumerate(names) if position in chosen]

    def called(self) -> str:
        return f"{self.chance.choice(_MOODS)} {self.chance.choice(_THINGS)}"


def invent(catalog: Catalog, *, workspaces: int, users: int, seed: int) -> Iterator[Record]:
    """Yield the records of a state with so many workspaces and users; each user is in about four workspaces."""
    people = [f"user-{number:0{len(str(users))}d}" for number in range(1, users + 1)]
    world = _World(catalog=catalog, chance=Random(seed), users=people)  # noqa: S311 - repeatable, and no secret
    yield from _users(world)
    roofs = [f"organization-{number}" for number in range(1, workspaces // 20 + 2)]
    for roof in roofs:
        yield "organization", {"id": roof, "name": world.called(), "is_suspended": world.happens(1)}
    trees = _trees(world, workspaces, roofs)
    for place in trees:
        yield "workspace", _described(world, place)
    yield from _subscriptions(world, trees)
    for place, size in zip(trees, _sizes(world, len(trees)), strict=True):
        yield from _members(world, place, size)
    yield from _heads(world, roofs)


def _users(world: _World) -> Iterator[Record]:
    for number, user in enumerate(world.users, start=1):
        name = f"{world.chance.choice(_NAMES)} {number}"
        kind = "service" if world.happens(1) else "human"
        address = {"email": f"{user}@example.com", "email_verified": not world.happens(5)}
        yield "user", {"id": user, "user_kind": kind, "name": name, "is_active": not world.happens(2), **address}


def _trees(world: _World, count: int, roofs: Sequence[str]) -> list[_Workspace]:
    """Return workspaces, parents before children: roots - some without an organization - and what grows below them."""
    made: list[_Workspace] = []
    everything = list(world.catalog.modules)
    for number in range(1, count + 1):
        recent = [place for place in made[-_RECENT:] if place.depth < _DEEPEST]
        parent = world.chance.choice(recent) if recent and world.happens(70) else None
        if parent is None:
            organization = None if world.happens(15) else roofs[int(len(roofs) * world.chance.random() ** 2)]
            modules = everything if world.happens(70) else world.some(everything)
        else:
            organization = parent.organization
            modules = parent.modules if world.happens(60) else world.some(parent.modules)
        made.append(
            _Workspace(
                id=f"workspace-{number:0{len(str(count))}d}",
                owner=_owner(world),
                organization=organization,
                depth=parent.depth + 1 if parent else 1,
                modules=modules,
                parent=parent.id if parent else None,
            )
        )
    return made


def _owner(world: _World) -> str:
    """Return somebody who does not own as many workspaces as the catalog allows, if there is anybody."""
    owner = world.somebody()
    for _ in world.users:
        if world.owned.get(owner, 0) < world.catalog.workspaces_per_owner:
            break
        owner = world.chance.choice(world.users)
    world.owned[owner] = world.owned.get(owner, 0) + 1
    return owner


def _described(world: _World, place: _Workspace) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "id": place.id,
        "name": world.called(),
        "owner": place.owner,
        "organization": place.organization,
        "parent": place.parent,
        "modules": place.modules,
        "is_active": not world.happens(2),
        "is_suspended": world.happens(2),
    }
    if world.happens(5):
        values["settings"] = {"features": {"child_workspaces": world.happens(30)}}
    if world.catalog.providers and world.happens(60):
        values["enabled_providers"] = world.some(list(world.catalog.providers))
    return values


def _subscriptions(world: _World, trees: Sequence[_Workspace]) -> Iterator[Record]:
    """Yield subscriptions: of most roots, and of a few places below, where they take the place of the root's."""
    plans = list(world.catalog.plans)
    for place in trees:
        if plans and world.happens(5 if place.parent else 80):
            status = world.chance.choices(list(_STATUSES), list(_STATUSES.values()))[0]
            plan = world.chance.choice(plans)
            yield "subscription", {"workspace": place.id, "plan": plan, "status": status.name.lower()}


def _sizes(world: _World, count: int) -> list[int]:
    """Return how many members each workspace has: most a few, some very many."""
    most = min(len(world.users), world.catalog.members_per_place)
    shares = [min(world.chance.paretovariate(1.1), 500.0) for _ in range(count)]
    scale = len(world.users) * _MEMBERSHIPS_PER_USER / sum(shares)
    return [max(1, min(most, round(share * scale))) for share in shares]


def _members(world: _World, place: _Workspace, size: int) -> Iterator[Record]:
    catalog = world.catalog
    roles = _roles(catalog, "workspace")
    ordinary = catalog.roles[catalog.default_workspace_role]
    members = {place.owner: None}
    while len(members) < size:
        user = world.somebody() if len(members) * 2 < size else world.chance.choice(world.users)
        members.setdefault(user)
    if place.organization is not None:
        world.in_organizations.setdefault(place.organization, set()).update(members)
    for user in members:
        if user == place.owner:
            yield "membership", {"workspace": place.id, "user": user, "role": catalog.creator_role}
            continue
        role = ordinary if world.happens(65) else world.chance.choice(roles)
        yield "membership", {"workspace": place.id, "user": user, "role": role.name, **_terms(world, role)}


def _terms(world: _World, role: Role) -> Mapping[str, Any]:
    """Return what a membership says besides its role; mostly nothing."""
    values: dict[str, Any] = {}
    if world.catalog.permissions and world.happens(5):
        values["permissions"] = [world.chance.choice(list(world.catalog.permissions))]
    if world.happens(2):
        values["is_active"] = False
    if not role.owner_like:
        if world.happens(10):
            values["modules"] = world.some(list(world.catalog.modules))
        if world.happens(4):
            values["expires_at"] = _PAST if world.happens(50) else _FUTURE
    return values


def _heads(world: _World, roofs: Sequence[str]) -> Iterator[Record]:
    """Yield the member of each organization who may do the most there; the import makes the others members."""
    catalog = world.catalog
    highest = max(_roles(catalog, "organization"), key=lambda role: (role.owner_like, role.rank), default=None)
    for roof in roofs:
        members = sorted(world.in_organizations.get(roof, ())) or [world.somebody()]
        role = highest.name if highest else catalog.default_organization_role
        yield "membership", {"organization": roof, "user": world.chance.choice(members), "role": role}


def _roles(catalog: Catalog, kind: PlaceKind) -> list[Role]:
    return [role for role in catalog.roles.values() if role.assignable and kind in role.places]
