"""The rules of a bundle, compiled: a question looks at a handful of rows whatever the number of rules."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from wsauthz.model.errors import UnknownAction, UnknownResource
from wsauthz.policy import terms
from wsauthz.policy.actions import Action, Compiled, Nodes
from wsauthz.policy.catalog import Catalog, ResourceType
from wsauthz.policy.rules import RuleTable

_NONE: Final[Nodes] = frozenset()


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
        self._given: dict[tuple[str, tuple[str, ...], int], Nodes] = {}

    def action(self, resource: str, action: str) -> tuple[Action, str]:
        """Return what is asked about ``dam:asset/42``, and its object id (``42``; empty without one).

        Raises:
            UnknownResource: no such type. UnknownAction: the type lacks the action.

        """
        name, _, object_id = resource.partition("/")
        actions = self.actions.get(name)
        if actions is None:
            raise UnknownResource(name)
        found = actions.get(action)
        if found is None:
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

    def _compile(self) -> Mapping[str, Mapping[str, Action]]:
        kinds = self.catalog.resources.values()
        compiled = {kind.name: {name: Action(kind, name) for name in kind.actions} for kind in kinds}
        for rule in self.table.rules:
            row = Compiled(rule)
            for kind in covered(self.catalog, rule.resource):
                for name, action in compiled[kind.name].items():
                    if rule.action in {"*", name}:
                        action.add(row)
        return compiled


def covered(catalog: Catalog, pattern: str) -> list[ResourceType]:
    """Return the resource types that a pattern of policy.csv covers; stars cover the application's only."""
    if pattern == "*":
        return [resource for resource in catalog.resources.values() if not resource.is_core]
    name, _, _ = pattern.partition("/")
    if name.endswith(":*"):
        module = name.removesuffix(":*")
        return [r for r in catalog.resources.values() if not r.is_core and r.module == module]
    return [catalog.resources[name]]


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
