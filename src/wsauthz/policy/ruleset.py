"""The rules of a bundle, compiled: a question looks at a handful of rows whatever the number of rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wsauthz.model.errors import UnknownAction, UnknownGuard, UnknownResource
from wsauthz.model.places import PlaceKey, State
from wsauthz.model.spelling import Spelling
from wsauthz.policy import terms
from wsauthz.policy.catalog import Catalog, ResourceType
from wsauthz.policy.coverage import Coverage
from wsauthz.policy.place import Place
from wsauthz.policy.rules import STATES, Rule, RuleTable

Nodes = frozenset[str]
"""Roles and explicit permissions that count somewhere, as ``role:x`` and ``perm:x``; inheritance is followed."""

_MOST_REMEMBERED: Final = 256
"""Sets of nodes a cell remembers its answer for; a server meets some dozens."""


class Compiled:
    """A rule as it is evaluated: ``object_id`` None is any object."""

    __slots__ = ("allows", "line", "node", "object_id", "place", "rule")

    def __init__(self, rule: Rule) -> None:
        _, _, tail = rule.resource.partition("/")
        self.rule = rule
        self.node = rule.node
        self.line = rule.line
        self.place = rule.place
        self.object_id = None if tail in {"", "*"} else tail
        self.allows = rule.allows


Match = tuple[Compiled | None, Compiled | None]
"""Of the rows that match, the one that allows and the one that denies; of several the first in policy.csv."""

NO_MATCH: Final[Match] = (None, None)
_NONE: Final[Nodes] = frozenset()

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


class Action:
    """One action on one type of resource: what it needs besides a rule, and the rules about it."""

    __slots__ = ("cells", "feature", "is_gated", "is_particular", "module", "name", "objects", "type")

    def __init__(self, kind: ResourceType, name: str) -> None:
        self.type = kind
        self.name = name
        self.module = kind.module
        self.feature = kind.actions[name]
        """The plan feature it needs, if any."""
        self.is_gated = kind.is_core or self.feature is not None
        """Whether anything but a rule, a module and a state could stand in its way."""
        self.is_particular = False
        """Whether there are rules about one object or one place: elsewhere the answer may be another."""
        self.objects: set[str] = set()
        """The ids of the objects that there are rules about."""
        self.cells: Mapping[State, Cell] = {state: Cell() for state in STATES[terms.ANY_STATE]}
        """State of the place -> the rules that hold in it; no state is left out."""

    def add(self, row: Compiled) -> None:
        """Take one more rule; only while the ruleset is made."""
        if row.place is not None or row.object_id is not None:
            self.is_particular = True
        if row.object_id is not None:
            self.objects.add(row.object_id)
        for state in row.rule.states:
            self.cells[state].add(row)


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
        self.actions: Mapping[str, Mapping[str, Action]] = self._compile()
        """Resource type -> action -> what is asked; none is left out."""
        self._by_role = {name: {0: self.close((terms.role(name),))} for name in catalog.roles}
        """Role -> what it gives by how many levels below."""
        self._given: dict[tuple[str, tuple[str, ...], int], Nodes] = {}
        """The same of roles with permissions."""
        self._spellings: dict[str, Spelling] = {}
        """For mistyped questions: resource type -> its actions; the types have an empty name, the guards are *."""

    def action(self, resource: str, action: str) -> tuple[Action, str]:
        """Return what is asked about ``dam:asset/42``, and its object id (``42``; empty without one).

        Raises:
            UnknownResource: no such type. UnknownAction: the type lacks the action.

        """
        name, _, object_id = resource.partition("/")
        actions = self.actions.get(name)
        if actions is None:
            raise UnknownResource(name, meant=self._spelling("", self.actions).meant(name))
        found = actions.get(action)
        if found is None:
            raise UnknownAction(name, action, meant=self._spelling(name, actions).meant(action))
        return found, object_id

    def unknown_guard(self, name: str) -> UnknownGuard:
        """Return the error about a guard that the catalog lacks."""
        return UnknownGuard(name, meant=self._spelling("*", self.catalog.guards).meant(name))

    def _spelling(self, of: str, names: Iterable[str]) -> Spelling:
        found = self._spellings.get(of)
        if found is None:
            found = self._spellings[of] = Spelling(names)
        return found

    def given(self, role: str, permissions: tuple[str, ...], distance: int) -> Nodes:
        """Return what a membership gives in the place ``distance`` levels below the one it is held in.

        A membership whose role the catalog does not know gives nothing, nor does an unknown permission.
        """
        if permissions:
            return self._given_with(role, permissions, distance)
        known = self._by_role.get(role)
        if known is None:
            return _NONE
        nodes = known.get(distance)
        if nodes is None:
            nodes = known[distance] = self.flow(self.given(role, (), distance - 1))
        return nodes

    def _given_with(self, role: str, permissions: tuple[str, ...], distance: int) -> Nodes:
        key = (role, permissions, distance)
        nodes = self._given.get(key)
        if nodes is None:
            if role not in self.catalog.roles:
                return _NONE  # and is not remembered: names nobody knows leave no trace in memory
            if distance:
                nodes = self.flow(self._given_with(role, permissions, distance - 1))
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

    def _compile(self) -> Mapping[str, Mapping[str, Action]]:
        kinds = self.catalog.resources.values()
        compiled = {kind.name: {name: Action(kind, name) for name in kind.actions} for kind in kinds}
        coverage = Coverage(self.catalog)
        for rule in self.table.rules:
            row = Compiled(rule)
            for kind, name in coverage.covered(rule.resource, rule.action):
                compiled[kind][name].add(row)
        return compiled


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
