"""Scenarios with their facts and every cell of their matrices, ready to be run against any rules of one catalog."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, PlaceKind
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.problems import BundleRefused, Problem, meant
from wsauthz.policy.scenario import EVERYONE, Matrix, Row, Scenario
from wsauthz.policy.scenario_reader import FILE
from wsauthz.policy.sizes import MOST_QUESTIONS, exceeds
from wsauthz.policy.state_check import check

_SUBJECT: Final = "matrix "
"""Begins the ids of the matrices' users; a space is in no user's id, so they meet nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One question of a matrix: somebody who holds one role, a type and an action."""

    line: int
    holder: str
    subject: str
    at: Place
    resource: str
    action: str
    is_allowed: bool
    """What is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One scenario, ready."""

    scenario: Scenario
    facts: Facts
    cells: tuple[Cell, ...]

    @property
    def size(self) -> int:
        """How many questions are asked."""
        return len(self.scenario.expectations) + len(self.scenario.routes) + len(self.cells)


def prepare(scenarios: Sequence[Scenario], catalog: Catalog, now: float) -> tuple[Prepared, ...]:
    """Return the scenarios with their facts at ``now`` (Unix seconds).

    Raises:
        BundleRefused: a scenario speaks of what the catalog, or its own state, lacks, or they ask too much together.

    """
    if text := exceeds("questions of all tests", sum(_size(each, catalog) for each in scenarios), MOST_QUESTIONS):
        raise BundleRefused([Problem(file=FILE, line=0, text=text)])
    problems = [problem for scenario in scenarios for problem in _problems(scenario, catalog)]
    if problems:
        raise BundleRefused(sorted(problems))
    return tuple(_prepare(scenario, catalog, now) for scenario in scenarios)


def _size(scenario: Scenario, catalog: Catalog) -> int:
    """Return how many questions a scenario asks at most: each row of a matrix is asked about everything."""
    size = len(scenario.expectations) + len(scenario.routes)
    if scenario.matrix is not None:
        actions = sum(len(kind.actions) for kind in catalog.resources.values())
        most = max((len(kind.actions) for kind in catalog.resources.values()), default=0)
        size += (len(scenario.matrix.rows) + len(catalog.roles)) * actions
        size += sum(len(row.allowed) for row in scenario.matrix.rows) * most
    return size


def _prepare(scenario: Scenario, catalog: Catalog, now: float) -> Prepared:
    facts = Facts()
    scenario.given.apply_to(facts, catalog, now)
    cells = () if scenario.matrix is None else tuple(_cells(scenario.matrix, facts, catalog))
    return Prepared(scenario=scenario, facts=facts, cells=cells)


def _cells(matrix: Matrix, facts: Facts, catalog: Catalog) -> Iterator[Cell]:
    """Yield what every row is asked: each type and action, and the single objects that it names."""
    at = facts.places[matrix.place]
    written = {row.holder for row in matrix.rows}
    silent = [
        Row(line=matrix.line, holder=role.name, allowed=frozenset())
        for role in catalog.roles.values()
        if role.name not in written and matrix.held_in[0] in role.places
    ]
    for row in (*matrix.rows, *silent):
        subject = _SUBJECT + row.holder
        _enter(facts, subject, matrix.held_in, row, catalog)
        resources = {resource for resource, _ in row.allowed if "/" in resource}
        asked = [(kind.name, action) for kind in catalog.resources.values() for action in kind.actions]
        asked += [(r, action) for r in sorted(resources) for action in catalog.resources[r.partition("/")[0]].actions]
        for resource, action in asked:
            is_allowed = not row.allowed.isdisjoint({(resource, action), (resource.partition("/")[0], action)})
            yield Cell(
                line=row.line,
                holder=row.holder,
                subject=subject,
                at=at,
                resource=resource,
                action=action,
                is_allowed=is_allowed,
            )


def _enter(facts: Facts, subject: str, held_in: PlaceKey, row: Row, catalog: Catalog) -> None:
    """Make the subject a member as the row says, and of the organization above as any other member of a workspace."""
    if row.holder == EVERYONE:
        facts.apply("user", {"id": subject, "is_active": True})
        return
    above = facts.places[held_in].organization_above
    if above is not None:
        _join(facts, subject, above.key, catalog.default_organization_role, ())
    _join(facts, subject, held_in, row.role, row.permissions)


def _join(facts: Facts, subject: str, place: PlaceKey, role: str, permissions: tuple[str, ...]) -> None:
    kind, identifier = place
    membership = {
        "workspace_id": identifier if kind == "workspace" else None,
        "organization_id": identifier if kind == "organization" else None,
        "user_id": subject,
        "role": role,
        "permissions": permissions,
        "modules": None,
        "is_active": True,
        "expires_at": None,
    }
    facts.apply("membership", membership)


def _problems(scenario: Scenario, catalog: Catalog) -> Iterator[Problem]:
    found = check(scenario.given, catalog, is_complete=True)
    yield from found
    for expected in scenario.expectations:
        for text in _unknown(expected.resource, expected.action, catalog):
            yield Problem(file=FILE, line=expected.line, text=text)
    for route in scenario.routes:
        for guard in route.guards:
            if guard not in catalog.guards:
                text = f"route: the catalog has no guard {guard!r}{meant(guard, catalog.guards)}"
                yield Problem(file=FILE, line=route.line, text=text)
    if scenario.matrix is not None:
        yield from _matrix_problems(scenario.matrix, scenario, catalog)


def _matrix_problems(matrix: Matrix, scenario: Scenario, catalog: Catalog) -> Iterator[Problem]:
    given = scenario.given.records
    for kind, identifier in {matrix.place, matrix.held_in}:
        if identifier and identifier not in {record.given["id"] for record in given[kind]}:
            yield Problem(file=FILE, line=matrix.line, text=f"matrix: given has no {kind} {identifier!r}")
    for row in matrix.rows:
        texts = list(_holder_problems(row, matrix.held_in[0], catalog))
        for resource, action in sorted(row.allowed):
            texts += _unknown(resource, action, catalog)
        yield from (Problem(file=FILE, line=row.line, text=f"matrix: {row.holder}: {text}") for text in texts)


def _holder_problems(row: Row, kind: PlaceKind, catalog: Catalog) -> Iterator[str]:
    if row.holder == EVERYONE:
        return
    role = catalog.roles.get(row.role)
    if role is None:
        fitting = [other.name for other in catalog.roles.values() if kind in other.places]
        yield f"the catalog has no role {row.role!r}{meant(row.role, fitting)}"
    elif kind not in role.places:
        yield f"the places of {row.role!r} are {', '.join(sorted(role.places))}, not {kind}"
    for part in row.holder.split("+")[1:]:
        name = part.removeprefix("perm:")
        if name == part:
            close = meant(part.rpartition(":")[2], catalog.permissions, ahead="perm:")
            yield f"{part!r} is no permission{close}"
        elif name not in catalog.permissions:
            yield f"the catalog has no permission {name!r}{meant(name, catalog.permissions)}"


def _unknown(resource: str, action: str, catalog: Catalog) -> list[str]:
    name, _, _ = resource.partition("/")
    kind = catalog.resources.get(name)
    if kind is None:
        return [f"{name!r} is not a resource of the catalog{meant(name, catalog.resources)}"]
    if action not in kind.actions:
        return [f"{action!r} is not an action of {name!r}{meant(action, kind.actions)}"]
    return []
