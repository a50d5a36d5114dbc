"""Places: the nodes roles are held in, and their effective state."""

from enum import IntEnum
from typing import Final, Literal

PlaceKind = Literal["platform", "organization", "workspace"]

PlaceKey = tuple[PlaceKind, str]
"""Kind and id; a plain tuple, because it is made once per question."""

PLATFORM: Final[PlaceKey] = ("platform", "")

MAX_DEPTH: Final = 16
"""Workspaces from a root to its deepest descendant, both counted."""


class State(IntEnum):
    """The effective state of a place; precedence: deleted, inactive, suspended, active. Numbers as in places.proto."""

    ACTIVE = 1
    SUSPENDED = 2
    INACTIVE = 3
    DELETED = 4
