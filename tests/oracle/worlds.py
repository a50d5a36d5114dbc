"""Random worlds and random questions, all hostile: overlapping ids, deep trees, odd memberships.

Everything is drawn from the ``random.Random`` that is handed in, so that a seed, or hypothesis, repeats it.
"""

from random import Random
from typing import Any, NamedTuple

from tests.oracle.bundles import PLACE_IDS, PLANS, random_bundle
from tests.oracle.plain_rules import covers
from tests.oracle.plain_state import PLATFORM, Case, PlaceKey, Policy, Question, Row, State, path, place_of
from wsauthz.policy.bundle import Bundle

NOW = 1_000_000.0
LONG_AGO, JUST_NOW = NOW - 500, NOW

USERS = (
    "ann",
    "ann2",
    "admin",
    "role:admin",
    "user:ann",
    "auth0|5f7c",
    "w1",
    "platform",
    "a/b=c~d",
    "workspace:w1",
    "bob",
)
"""Named like roles, like places, like one another's prefixes."""
STRANGERS = ("stranger", "an", "owner", "everyone", "role:everyone")


class World(NamedTuple):
    """A bundle as the engine has it and as it is plainly read, and what is the case."""

    bundle: Bundle
    policy: Policy
    state: State

    def at(self, now: float = NOW) -> Case:
        """Return the world at a moment, for the plain reading."""
        return Case(self.state, self.policy, now)


def random_world(chance: Random, *, size: int = 12, bundle: tuple[Bundle, Policy] | None = None) -> World:
    """Return a world of up to about ``size`` workspaces; without a bundle, one with rules drawn at random."""
    found, policy = bundle or random_bundle(chance)
    return World(found, policy, random_state(chance, policy, size=size))


def random_state(chance: Random, policy: Policy, *, size: int) -> State:
    """Return what is the case in a world with the roles and modules of the policy."""
    state = State()
    calm = chance.random() < 0.5
    for name in chance.sample(PLACE_IDS, chance.randint(0, 3)):
        state.put("organization", organization(chance, name))
    deep = chance.random() < 0.3
    for name in chance.sample(PLACE_IDS, chance.randint(1, min(size, len(PLACE_IDS)))):
        row = workspace(chance, policy, state, name, deep=deep)
        state.put("workspace", {**row, "is_active": True, "is_suspended": False} if calm else row)
    for name in state.workspaces:
        if chance.random() < 0.25:
            state.put("subscription", subscription(chance, policy, name))
    for name in USERS:
        if chance.random() < 0.75:
            state.put("user", {"id": name, "is_active": chance.random() < 0.93})
    for _ in range(chance.randint(0, 3 * size)):
        state.put("membership", membership(chance, policy, state))
    return state


def organization(chance: Random, name: str) -> dict[str, Any]:
    """Return a random organization."""
    return {"id": name, "is_suspended": chance.random() < 0.15}


def workspace(chance: Random, policy: Policy, state: State, name: str, *, deep: bool = False) -> dict[str, Any]:
    """Return a random workspace, where it can be in the tree as it is."""
    parents = [
        key for key in state.workspaces if sum(kind == "workspace" for kind, _ in path(state, ("workspace", key))) < 16
    ]
    parent = None
    organization_id = chance.choice([None, *state.organizations])
    if parents and chance.random() < (0.95 if deep else 0.6):
        parent = parents[-1] if deep else chance.choice(parents)
        organization_id = state.workspaces[parent]["organization_id"]
    before = state.workspaces.get(name)
    if before is not None:  # where it is never changes
        parent, organization_id = before["parent_workspace_id"], before["organization_id"]
    return {
        "id": name,
        "organization_id": organization_id,
        "parent_workspace_id": parent,
        "owner_user_id": chance.choice(USERS),
        "is_active": chance.random() < 0.9,
        "is_suspended": chance.random() < 0.15,
        "modules": _modules(chance, policy) if chance.random() < 0.4 else list(policy.catalog.get("modules", {})),
        "child_workspaces": chance.choice([None, None, True, False]),
    }


def subscription(chance: Random, policy: Policy, name: str) -> dict[str, Any]:
    """Return a random subscription; its plan may be one that the catalog no longer has."""
    plans = [*policy.catalog.get("plans", PLANS), "withdrawn"]
    return {"workspace_id": name, "plan": chance.choice(plans), "status": chance.randint(1, 5)}


def membership(chance: Random, policy: Policy, state: State) -> dict[str, Any]:
    """Return a random membership; its role, permissions and modules may be ones that the catalog no longer has."""
    places = [("workspace", key) for key in state.workspaces] * 3 + [
        ("organization", key) for key in state.organizations
    ]
    kind, identifier = chance.choice([*places, PLATFORM])
    roles, permissions = list(policy.catalog.get("roles", {})), list(policy.catalog.get("permissions", {}))
    asked = [*permissions, "withdrawn"]
    return {
        "workspace_id": identifier if kind == "workspace" else None,
        "organization_id": identifier if kind == "organization" else None,
        "user_id": chance.choice(USERS),
        "role": chance.choice(roles) if chance.random() < 0.95 else "withdrawn",
        "permissions": chance.sample(asked, chance.randint(1, len(asked))) if chance.random() < 0.3 else [],
        "modules": _modules(chance, policy) if chance.random() < 0.35 else None,
        "is_active": chance.random() < 0.88,
        "expires_at": chance.choice([*[None] * 6, LONG_AGO, JUST_NOW, NOW + 0.5, NOW + 60, NOW + 61, NOW + 900]),
    }


def _modules(chance: Random, policy: Policy) -> list[str]:
    known = [*policy.catalog.get("modules", {}), "withdrawn"]
    return chance.sample(known, chance.randint(0, len(known)))


def random_change(chance: Random, policy: Policy, state: State) -> list[tuple[str, dict[str, Any]]]:
    """Return the changes of one random transaction, as a replica hears of them; deletions take along what depends."""
    kind = chance.choice(["user", "organization", "workspace", "subscription", "membership", "membership", "delete"])
    if kind == "user":
        return [(kind, {"id": chance.choice(USERS), "is_active": chance.random() < 0.7})]
    if kind == "organization":
        return [(kind, organization(chance, chance.choice(PLACE_IDS)))]
    if kind == "workspace":
        return [(kind, workspace(chance, policy, state, chance.choice(PLACE_IDS)))]
    if kind == "subscription" and state.workspaces:
        return [(kind, subscription(chance, policy, chance.choice(list(state.workspaces))))]
    if kind == "membership":
        return [(kind, membership(chance, policy, state))]
    return _deletion(chance, state)


def _deletion(chance: Random, state: State) -> list[tuple[str, dict[str, Any]]]:
    rows = state.rows()
    if not rows:
        return []
    kind, row = chance.choice(rows)
    gone = [(kind, {**row, "deleted": True})]
    if kind in {"workspace", "organization"}:
        below = [key for key in state.workspaces if (kind, row["id"]) in path(state, ("workspace", key))]
        places: set[PlaceKey] = {(kind, row["id"]), *(("workspace", key) for key in below)}
        gone = [(kind, {"id": row["id"], "deleted": True})]
        gone += [
            ("workspace", {"id": key, "deleted": True}) for key in below if (kind, key) != ("workspace", row["id"])
        ]
        gone += [("subscription", {**row, "deleted": True}) for key, row in state.subscriptions.items() if key in below]
        gone += [("membership", {**r, "deleted": True}) for r in state.memberships.values() if place_of(r) in places]
        chance.shuffle(gone)
    return gone


# --- questions --------------------------------------------------------------------------------------------------------


def random_question(chance: Random, world: World) -> Question:
    """Return a question, mostly about what some rule speaks of and somebody who holds something there."""
    state, rule = world.state, chance.choice(world.policy.rules)
    places: list[PlaceKey] = [("workspace", key) for key in state.workspaces] * 8
    places += [*(("organization", key) for key in state.organizations), PLATFORM]
    place: PlaceKey | None = chance.choice(places)
    subject = chance.choice((*USERS, *STRANGERS))
    if place is not None and chance.random() < 0.8:
        chain = path(state, place)
        near = [(who, row["role"]) for (where, who), row in state.memberships.items() if where in chain]
        near += [(state.workspaces[key]["owner_user_id"], "") for kind, key in chain if kind == "workspace"]
        able = [who for who, role in near if f"role:{role}" == rule.node]
        subject = chance.choice(able or [who for who, _ in near] or [subject])
    if chance.random() < 0.02:
        place = chance.choice(
            [None, *((kind, key) for kind in ("workspace", "organization") for key in ("unknown", ""))]
        )
    resource, action = _resource_and_action(chance, world, rule)
    if chance.random() < 0.3:
        resource += chance.choice(["/42", "/4", "/421", "/a/b", "/a", "/x~y"])
    module = ""
    if chance.random() < 0.25:
        module = chance.choice([*world.policy.catalog.get("modules", {}), "core", "unknown"])
    return Question(subject, place, resource, action, module)


def _resource_and_action(chance: Random, world: World, rule: Row) -> tuple[str, str]:
    """Return what the rule speaks of, or anything at all."""
    kinds = world.bundle.catalog.resources
    covered = [
        kind
        for kind in kinds.values()
        if covers(world.policy, rule.resource, f"{kind.name}/{rule.resource.partition('/')[2]}")
    ]
    kind = chance.choice(covered if covered and chance.random() < 0.8 else list(kinds.values()))
    return kind.name, rule.action if rule.action in kind.actions else chance.choice(list(kind.actions))
