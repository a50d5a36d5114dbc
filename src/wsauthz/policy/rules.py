"""The rows of policy.csv, read: who may do what, where, in which state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, State

STATES: Final[Mapping[str, tuple[State, ...]]] = {
    "active": (State.ACTIVE,),
    "suspended": (State.SUSPENDED,),
    "inactive": (State.INACTIVE,),
    "any": (State.ACTIVE, State.SUSPENDED, State.INACTIVE),
}
"""What the state column of policy.csv says -> the effective states of a place the rule holds in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One ``p`` row. ``place`` None is ``*``; ``resource`` and ``action`` are the patterns as written."""

    line: int
    text: str
    node: str
    place: PlaceKey | None
    resource: str
    action: str
    states: tuple[State, ...]
    allows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """All rows: rules, ``g`` (a role and what it inherits) and ``g4`` (a role above and what it gives below)."""

    rules: tuple[Rule, ...]
    inherits: tuple[tuple[str, str], ...]
    flows: tuple[tuple[str, str], ...]
