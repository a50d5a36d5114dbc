"""The rules of a bundle, compiled: a question looks at a handful of rows whatever the number of rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wsauthz.model.errors import UnknownAction, UnknownResource
from wsauthz.model.places import PlaceKey, State
from wsauthz.policy import terms
from wsauthz.policy.catalog import Catalog, ResourceType
from wsauthz.policy.facts import Place
from wsauthz.policy.rules import STATES, Rule, RuleTable

Nodes = frozenset[str]
"""Roles and explicit permissions that count somewhere, as ``role:x`` and ``perm:x``; inheritance is followed."""

_NONE: Final[Nodes] = frozenset()
_MOST_REMEMBERED: Final = 256
"""Sets of nodes a cell remembers its answer for; a server meets some dozens."""


class Compiled:
    """A rule as it is evaluated: ``object_id`` None is any object."""

    __slots__ = ("allows", "line", "node", "object_id", "place", "rule")

    def __init__(self, rule: Rule, node: str, object_id: str | None) -> None:
        self.rule = rule
        self.node = node
        self.line = rule.line
        self.place = rule.place
        self.object_id = object_id
        self.allows = rule.allows


Match = tuple[Compiled | None, Compiled | None]
"""Of the rows that match, the one that allows and the one that denies; of several the first in policy.csv."""


_ByNode = dict[str, list[Compiled]]


class Cell:
    """The rules about one action on one type of resource in one state of a place."""

    __slots__ = ("_general", "_objects", "_places", "_remembered", "by_node")

    def __init__(self) -> None:
        self.by_node: _ByNode = defaultdict(list)
        """Every row."""
        self._general: _ByNode = defaultdict(list)
        """Those about any object anywhere."""
        self._objects: dict[str | None, _ByNode] = {}
        """Those about one object, anywhere."""
        self._places: dict[PlaceKey, dict[str | None, _ByNode]] = {}
        """Those about one place, and there about one object or about any: None."""
        self._remembered: dict[Nodes, Match] = {}
        """What the general rows say."""

    def add(self, row: Compiled) -> None:
        """Take one more rule; only while the ruleset is made."""
        rows = self._general
        if row.place is not None or row.object_id is not None:
            objects = self._objects if row.place is None else self._places.setdefault(row.place, {})
            rows = objects.setdefault(row.object_id, defaultdict(list))
        rows[row.node].append(row)
        self.by_node[row.node].append(row)

    def matching(self, nodes: Nodes, chain: Sequence[Place], object_id: str) -> list[Compiled]:
        """Return every row that matches for these nodes on this object in the first place; the others lie above it."""
        return [*_of(nodes, self._general), *self._matching_one(nodes, chain, object_id)]

    def match(self, nodes: Nodes, chain: Sequence[Place], object_id: str) -> Match:
        """Return the row that allows and the row that denies."""
        found = self._remembered.get(nodes)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[nodes] = _first(_of(nodes, self._general))
        if (self._objects or self._places) and (rows := self._matching_one(nodes, chain, object_id)):
            found = _first((*(row for row in found if row is not None), *rows))
        return found

    def _matching_one(self, nodes: Nodes, chain: Sequence[Place], object_id: str) -> list[Compiled]:
        """Return what matches of the rows about one object, or about one place."""
        found: list[Compiled] = []
        if object_id in self._objects:
            found += _of(nodes, self._objects[object_id])
        if self._places:
            for place in chain:
                objects = self._places.get(place.key)
                if objects is not None:
                    found += _of(nodes, objects.get(None, {}))
                    found += _of(nodes, objects.get(object_id, {}))
        return found


class Ruleset:
    """Who may do what, by node, resource type, action and state. Never changed after it is made."""

    def __init__(self, catalog: Catalog, table: RuleTable) -> None:
        self.catalog = catalog
        self.table = table
        self.inherited: Mapping[str, Nodes] = _closure(table.inherits)
        """Node -> itself and everything it inherits."""
        self._flows: dict[str, list[str]] = defaultdict(list)
        for above, below in table.flows:
            self._flows[above].append(below)
        self.particular: set[tuple[str, str]] = set()
        """Resource types and actions with rules about one object or one place: elsewhere the answer may be another."""
        self.cells: Mapping[tuple[str, str, State], Cell] = self._compile()
        """Resource type, action and state of the place -> the rules about them; none is left out."""
        self._given: dict[tuple[str, tuple[str, ...], int], Nodes] = {}

    def type_of(self, resource: str, action: str) -> tuple[ResourceType, str]:
        """Return the type of ``dam:asset/42`` and its object id (``42``; empty without one).

        Raises:
            UnknownResource: no such type. UnknownAction: the type lacks the action.

        """
        name, _, object_id = resource.partition("/")
        found = self.catalog.resources.get(name)
        if found is None:
            raise UnknownResource(name)
        if action not in found.actions:
            raise UnknownAction(name, action)
        return found, object_id

    def given(self, role: str, permissions: tuple[str, ...], distance: int) -> Nodes:
        """Return what a membership gives in the place ``distance`` levels below the one it is held in.

        A membership whose role the catalog does not know gives nothing, nor does an unknown permission.
        """
        key = (role, permissions, distance)
        nodes = self._given.get(key)
        if nodes is None:
            if role not in self.catalog.roles:
                return _NONE  # and is not remembered: names nobody knows leave no trace in memory
            if distance:
                nodes = self.flow(self.given(role, permissions, distance - 1))
            else:
                known = (terms.permission(name) for name in permissions if name in self.catalog.permissions)
                nodes = self.close((terms.role(role), *known))
            self._given[key] = nodes
        return nodes

    def owned(self, distance: int) -> Nodes:
        """Return what primary ownership gives ``distance`` levels below."""
        role = self.catalog.ownership_role
        return self.given(role, (), distance) if role is not None else _NONE

    def close(self, nodes: Iterable[str]) -> Nodes:
        """Return the nodes and everything they inherit."""
        return frozenset().union(*(self.inherited.get(node, (node,)) for node in nodes))

    def flow(self, nodes: Nodes) -> Nodes:
        """Return what the nodes held in a place give in the places right below it."""
        return self.close(below for node in nodes for below in self._flows.get(node, ()))

    def rows(self, resource_type: str, action: str, state: State) -> Mapping[str, Sequence[Compiled]]:
        """Return the rules for a resource type and action that hold in the state, by node."""
        return self.cells[resource_type, action, state].by_node

    def _compile(self) -> Mapping[tuple[str, str, State], Cell]:
        kinds, states = self.catalog.resources.values(), STATES[terms.ANY_STATE]
        cells = {(kind.name, action, state): Cell() for kind in kinds for action in kind.actions for state in states}
        for rule in self.table.rules:
            _, _, tail = rule.resource.partition("/")
            compiled = Compiled(rule, rule.node, None if tail in {"", "*"} else tail)
            is_particular = compiled.place is not None or compiled.object_id is not None
            for kind in covered(self.catalog, rule.resource):
                for action in kind.actions:
                    if rule.action not in {"*", action}:
                        continue
                    if is_particular:
                        self.particular.add((kind.name, action))
                    for state in rule.states:
                        cells[kind.name, action, state].add(compiled)
        return cells


def covered(catalog: Catalog, pattern: str) -> list[ResourceType]:
    """Return the resource types that a pattern of policy.csv covers; stars cover the application's only."""
    if pattern == "*":
        return [resource for resource in catalog.resources.values() if not resource.is_core]
    name, _, _ = pattern.partition("/")
    if name.endswith(":*"):
        module = name.removesuffix(":*")
        return [r for r in catalog.resources.values() if not r.is_core and r.module == module]
    return [catalog.resources[name]]


def _of(nodes: Nodes, rows: _ByNode) -> list[Compiled]:
    return [row for node in nodes if node in rows for row in rows[node]]


def _first(rows: Iterable[Compiled]) -> Match:
    allow = deny = None
    for row in rows:
        if row.allows:
            if allow is None or row.line < allow.line:
                allow = row
        elif deny is None or row.line < deny.line:
            deny = row
    return allow, deny


def _closure(pairs: Iterable[tuple[str, str]]) -> dict[str, Nodes]:
    """Return node -> everything reachable from it, itself included (Casbin loses links deeper than 9)."""
    direct: dict[str, list[str]] = defaultdict(list)
    for node, inherited in pairs:
        direct[node].append(inherited)
    closure: dict[str, Nodes] = {}
    for start in list(direct):
        seen = {start}
        todo = [start]
        while todo:
            for node in direct.get(todo.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        closure[start] = frozenset(seen)
    return closure
