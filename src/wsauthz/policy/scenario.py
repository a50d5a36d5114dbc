"""What a scenario of tests.yaml says, read: a state, and what must hold in it."""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey
from wsauthz.policy.catalog import Reason
from wsauthz.policy.state_file import State

EVERYONE: Final = "everyone"
"""The key of a matrix row about an active user without any membership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One question and its answer; ``reason`` None: allowed. ``place`` None: the question names none."""

    line: int
    subject: str
    place: PlaceKey | None
    resource: str
    action: str
    required_module: str
    reason: Reason | None
    blocked_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One page and its answer; ``guards`` empty: the default ones. ``reason`` None: it may be opened."""

    line: int
    subject: str
    workspace_id: str
    guards: tuple[str, ...]
    required_module: str
    parent_workspace_id: str
    reason: Reason | None
    guard: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What somebody who was given one membership may do; everything else is denied.

    One of a workspace brings one of the organization above, as anywhere.
    """

    line: int
    holder: str
    """As written: a role, ``role+perm:name``, or ``everyone``."""
    allowed: frozenset[tuple[str, str]]

    @property
    def role(self) -> str:
        """The role of the membership."""
        return self.holder.partition("+")[0]

    @property
    def permissions(self) -> tuple[str, ...]:
        """The explicit permissions of the membership."""
        return tuple(part.removeprefix("perm:") for part in self.holder.split("+")[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Rows about one place; a role without a row may do nothing. ``held_in`` is where the memberships are."""

    line: int
    place: PlaceKey
    held_in: PlaceKey
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A state and what must hold in it."""

    line: int
    name: str
    given: State
    expectations: tuple[Expectation, ...]
    routes: tuple[Route, ...]
    matrix: Matrix | None
