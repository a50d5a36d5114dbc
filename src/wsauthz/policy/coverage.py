"""Which actions on which resource types the patterns of policy.csv are about, worked out once for a catalog."""

from collections.abc import Mapping
from typing import Final

from wsauthz.policy.catalog import Catalog

Covered = frozenset[tuple[str, str]]
"""Resource types, each with an action."""

ALL: Final = "*"
_NOTHING: Final[Mapping[str, list[str]]] = {}


class Coverage:
    """What each pattern covers. Costs as much as the catalog is long, and then a look-up for each rule."""

    def __init__(self, catalog: Catalog) -> None:
        self._types: dict[str, dict[str, list[str]]] = {}
        """Type, ``module:*`` or ``*`` -> action -> the types that have it."""
        for kind in catalog.resources.values():
            for scope in (kind.name,) if kind.is_core else (kind.name, f"{kind.module}:*", ALL):
                types = self._types.setdefault(scope, {})
                for action in kind.actions:
                    types.setdefault(action, []).append(kind.name)
        self._found: dict[tuple[str, str], Covered] = {}
        self._same: dict[Covered, Covered] = {}

    def actions(self, pattern: str) -> Mapping[str, list[str]]:
        """Return each action of what a pattern covers, with the types that have it; stars cover no core types."""
        return self._types.get(_scope(pattern), _NOTHING)

    def covered(self, pattern: str, action: str) -> Covered:
        """Return what a rule is about, ``*`` being every action; what is equal is the same object."""
        key = (_scope(pattern), action)
        found = self._found.get(key)
        if found is None:
            actions = self.actions(pattern)
            pairs = frozenset((kind, name) for name in _named(action, actions) for kind in actions.get(name, ()))
            found = self._found[key] = self._same.setdefault(pairs, pairs)
        return found


def _named(action: str, actions: Mapping[str, list[str]]) -> list[str]:
    return list(actions) if action == ALL else [action]


def _scope(pattern: str) -> str:
    return pattern.partition("/")[0]
