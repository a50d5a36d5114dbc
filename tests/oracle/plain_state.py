"""The files of a bundle and the rows of a database, as plain as they come: what the plain reading reads.

Imports neither Casbin nor wsauthz. Everything is looked up by walking lists.
"""

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PlaceKey = tuple[str, str]
PLATFORM: PlaceKey = ("platform", "")


class Row(NamedTuple):
    """A ``p`` row of policy.csv."""

    node: str
    place: str
    resource: str
    action: str
    state: str
    effect: str


@dataclass
class Policy:
    """The files of a bundle: the rows by type, catalog.toml as parsed, the core vocabulary."""

    rules: list[Row]
    inherits: list[tuple[str, str]]
    flows: list[tuple[str, str]]
    catalog: Mapping[str, Any]
    core: Mapping[str, Mapping[str, str | None]]


@dataclass
class State:
    """What is the case: rows as they are stored, by id; memberships and subscriptions by place."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    organizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    workspaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    memberships: dict[tuple[PlaceKey, str], dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one row down, or cross it out."""
        row = dict(values)
        table: dict[Any, dict[str, Any]]
        key: Any
        if kind == "membership":
            table, key = self.memberships, (place_of(row), row["user_id"])
        elif kind == "subscription":
            table, key = self.subscriptions, row["workspace_id"]
        else:
            table, key = getattr(self, kind + "s"), row["id"]
        if row.get("deleted"):
            table.pop(key, None)
        else:
            table[key] = row

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """Return everything, parents before their children."""
        found = [("organization", row) for row in self.organizations.values()]
        found += [("workspace", self.workspaces[key]) for key in sorted(self.workspaces, key=self.depth)]
        found += [("subscription", row) for row in self.subscriptions.values()]
        found += [("user", row) for row in self.users.values()]
        found += [("membership", row) for row in self.memberships.values()]
        return found

    def depth(self, workspace_id: str) -> int:
        """Count the places from the workspace up to the platform."""
        return len(path(self, ("workspace", workspace_id)))


class Case(NamedTuple):
    """What is the case, what the rules are, and what time it is (Unix seconds)."""

    state: State
    policy: Policy
    now: float


class Question(NamedTuple):
    """What is asked."""

    subject: str
    place: PlaceKey | None
    resource: str
    action: str
    required_module: str = ""

    @property
    def kind(self) -> str:
        """Return the resource type."""
        return self.resource.partition("/")[0]

    @property
    def module(self) -> str:
        """Return the module of the resource type."""
        module, colon, _ = self.kind.partition(":")
        return module if colon else "core"

    @property
    def at(self) -> PlaceKey:
        """Return the place of a question that names one."""
        assert self.place is not None
        return self.place


def place_of(membership: Mapping[str, Any]) -> PlaceKey:
    """Return where a membership is."""
    if membership["workspace_id"] is not None:
        return ("workspace", membership["workspace_id"])
    if membership["organization_id"] is not None:
        return ("organization", membership["organization_id"])
    return PLATFORM


# --- the files --------------------------------------------------------------------------------------------------------


def read_policy(policy_csv: str, catalog_toml: str, core: Mapping[str, Mapping[str, str | None]]) -> Policy:
    """Read the two files of a bundle, believing them."""
    policy = Policy([], [], [], tomllib.loads(catalog_toml), core)
    lines = [line for line in policy_csv.splitlines() if line.strip() and not line.startswith("#")]
    for cells in csv.reader(lines, skipinitialspace=True):
        kind, *rest = (cell.strip() for cell in cells)
        if kind == "p":
            policy.rules.append(Row(*rest))
        elif kind == "g":
            policy.inherits.append((rest[0], rest[1]))
        else:
            policy.flows.append((rest[0], rest[1]))
    return policy


def read_core(vocabulary_proto: Path) -> dict[str, dict[str, str | None]]:
    """Read resource -> action -> required feature out of vocabulary.proto as text."""
    core: dict[str, dict[str, str | None]] = {}
    for block in re.findall(r"option \(vocabulary\) = \{(.*?)\};", vocabulary_proto.read_text("utf-8"), re.DOTALL):
        names = re.findall(r'name: "(\w+)"(?: requires_feature: "(\w+)")?', block)
        core[names[0][0]] = {action: feature or None for action, feature in names[1:]}
    return core


# --- the tree ---------------------------------------------------------------------------------------------------------


def exists(state: State, place: PlaceKey) -> bool:
    """Tell whether there is such a place."""
    return (
        place == PLATFORM
        or (place[0] == "organization" and place[1] in state.organizations)
        or (place[0] == "workspace" and place[1] in state.workspaces)
    )


def path(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the place and every place above it, nearest first, the platform last."""
    if place == PLATFORM:
        return [PLATFORM]
    if place[0] == "organization":
        return [place, PLATFORM]
    workspace = state.workspaces[place[1]]
    if workspace["parent_workspace_id"] is not None:
        return [place, *path(state, ("workspace", workspace["parent_workspace_id"]))]
    if workspace["organization_id"] is not None:
        return [place, *path(state, ("organization", workspace["organization_id"]))]
    return [place, PLATFORM]


def own(state: State, place: PlaceKey) -> Mapping[str, Any]:
    """Return the row of a place; the platform has none."""
    if place == PLATFORM:
        return {}
    return state.organizations[place[1]] if place[0] == "organization" else state.workspaces[place[1]]


def inactive(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the places at or above that are inactive themselves, nearest first."""
    return [above for above in path(state, place) if not own(state, above).get("is_active", True)]


def suspended(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the places at or above that are suspended themselves, nearest first."""
    return [above for above in path(state, place) if own(state, above).get("is_suspended", False)]


def effective_state(state: State, place: PlaceKey) -> str:
    """Return inactive, suspended or active, by precedence."""
    if inactive(state, place):
        return "inactive"
    return "suspended" if suspended(state, place) else "active"


def without_module(state: State, place: PlaceKey, module: str) -> list[PlaceKey]:
    """Return the places at or above whose own list lacks the module, nearest first; everybody has core."""
    if module == "core":
        return []
    return [above for above in path(state, place) if module not in own(state, above).get("modules", [module])]


def has_module(state: State, policy: Policy, place: PlaceKey, module: str) -> bool:
    """Tell whether the place has the module effectively; nobody has one that the catalog doesn't know."""
    known = module == "core" or module in policy.catalog.get("modules", {})
    return known and not without_module(state, place, module)


def subscription(state: State, place: PlaceKey) -> Mapping[str, Any] | None:
    """Return the place's subscription: its own, else the nearest above."""
    found = [
        state.subscriptions[key]
        for kind, key in path(state, place)
        if kind == "workspace" and key in state.subscriptions
    ]
    return found[0] if found else None
