"""tests.yaml, read strictly: scenarios, each a state, and what must hold in it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from wsauthz.model.identifiers import is_id, is_resource_id, is_user_id
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.catalog import Reason
from wsauthz.policy.nodes import Keys, Node, read_yaml
from wsauthz.policy.problems import BundleRefused, Mistake, Problem, meant
from wsauthz.policy.scenario import Expectation, Matrix, Route, Row, Scenario
from wsauthz.policy.state_file import records_of, state_of

FILE: Final = "tests.yaml"


@lru_cache(maxsize=2)  # reading is half of what a reload takes, and what changes is the rules; in force and on trial
def load_scenarios(text: str) -> tuple[Scenario, ...]:
    """Return the scenarios of tests.yaml.

    Raises:
        BundleRefused: with everything that is wrong with the file, as far as no catalog is needed to see it.

    """
    node, problems = read_yaml(FILE, text)
    found: list[Scenario] = []
    if node is not None and node.value is not None:
        try:
            found = [_scenario(entry, problems) for entry in node.entries()]
        except Mistake:
            problems.append(Problem(file=FILE, line=node.line, text="must be a list of scenarios"))
    seen: set[str] = set()
    for scenario in found:
        if scenario.name in seen:
            problems.append(Problem(file=FILE, line=scenario.line, text=f"a second scenario {scenario.name!r}"))
        seen.add(scenario.name)
    if problems:
        raise BundleRefused(sorted(problems))
    return tuple(found)


def _scenario(node: Node, problems: list[Problem]) -> Scenario:
    keys = Keys(node, FILE, problems)
    name = keys.text("name")
    if not name:
        keys.refuse("a scenario needs a name")
    given = keys.take("given")
    records = [] if given is None else list(records_of(given, FILE, problems))
    expectations: list[Expectation] = []
    routes: list[Route] = []
    for entry in keys.entries("expect"):
        expected = _expected(entry, problems)
        if isinstance(expected, Expectation):
            expectations.append(expected)
        elif expected is not None:
            routes.append(expected)
    matrix = keys.take("matrix")
    if matrix is None and not expectations and not routes:
        keys.refuse("a scenario needs expect or matrix")
    keys.finish()
    return Scenario(
        line=keys.line,
        name=name or "",
        given=state_of(records, FILE),
        expectations=tuple(expectations),
        routes=tuple(routes),
        matrix=None if matrix is None else _matrix(matrix, problems),
    )


def _expected(node: Node, problems: list[Problem]) -> Expectation | Route | None:
    """Return one entry of ``expect``; None if what it asks cannot be read."""
    keys = Keys(node, FILE, problems)
    subject = keys.text("subject") or ""
    if not is_user_id(subject):
        keys.refuse(f"subject: {subject!r} is no user id")
    place = _place(keys, is_needed=False)
    module = keys.text("module") or ""
    reason = _answer(keys)
    route = keys.take("route")
    if route is not None:
        if place is not None and place[0] != "workspace":
            keys.refuse("a route is in a workspace")
        expected: Expectation | Route | None = Route(
            line=keys.line,
            subject=subject,
            workspace_id=place[1] if place else "",
            guards=_guards(route, keys),
            required_module=module,
            parent_workspace_id=keys.text("parent") or "",
            reason=reason,
            guard=keys.text("guard"),
        )
    else:
        asked = keys.text("check")
        if asked is None:
            keys.refuse("needs check or route")
        check = None if asked is None else _check(keys, asked)
        expected = check and Expectation(
            line=keys.line,
            subject=subject,
            place=place,
            resource=check[0],
            action=check[1],
            required_module=module,
            reason=reason,
            blocked_by=keys.text("blocked_by"),
        )
    keys.finish()
    return expected


def _guards(node: Node, keys: Keys) -> tuple[str, ...]:
    if node.value == "default":
        return ()
    try:
        return tuple(entry.text() for entry in node.entries())
    except Mistake:
        keys.refuse("route: must be default, or a list of guards", node.line)
        return ()


def _answer(keys: Keys) -> Reason | None:
    """Return the expected reason; None if it must be allowed."""
    allow, reason = keys.take("allow"), keys.text("reason")
    if (allow is None) == (reason is None):
        keys.refuse("needs one of allow: true and reason")
    if allow is not None and not (allow.is_plain and allow.value == "true"):
        keys.refuse("allow: must be true; a denial is expected by its reason", allow.line)
    if reason is None:
        return None
    try:
        return Reason(reason)
    except ValueError:
        keys.refuse(f"reason: {reason!r} is not a reason{meant(reason, Reason)}")
        return None


def _place(keys: Keys, *, is_needed: bool) -> PlaceKey | None:
    found: list[PlaceKey] = []
    for kind in ("workspace", "organization"):
        identifier = keys.text(kind)
        if identifier is not None:
            if not is_id(identifier):
                keys.refuse(f"{kind}: {identifier!r} is no id")
            found.append((kind, identifier))
    platform = keys.take("platform")
    if platform is not None:
        if not (platform.is_plain and platform.value == "true"):
            keys.refuse("platform: must be true, or be left out", platform.line)
        found.append(PLATFORM)
    if len(found) > 1 or (is_needed and not found):
        keys.refuse("needs one of workspace, organization and platform: true")
    return found[0] if found else None


def _check(keys: Keys, text: str, line: int | None = None) -> tuple[str, str] | None:
    """Return resource and action of ``"dam:asset/42 read"``."""
    parts = text.split()
    if len(parts) != 2:  # noqa: PLR2004 - a resource and an action
        keys.refuse(f'{text!r} is no question: write "resource action"', line)
        return None
    _, slash, object_id = parts[0].partition("/")
    if slash and not is_resource_id(object_id):
        keys.refuse(f"{object_id!r} cannot be the id of a resource", line)
    return parts[0], parts[1]


def _matrix(node: Node, problems: list[Problem]) -> Matrix | None:
    keys = Keys(node, FILE, problems)
    place = _place(keys, is_needed=True)
    held_in = place
    above = keys.take("held_in")
    if above is not None:
        inside = Keys(above, FILE, problems)
        held_in = _place(inside, is_needed=True)
        inside.finish()
    rows = keys.take("rows")
    found: Mapping[str, Node] = {}
    try:
        found = {} if rows is None else rows.items()
    except Mistake as mistake:
        keys.refuse(f"rows: {mistake}")
    if not found:
        keys.refuse("a matrix needs rows")
    keys.finish()
    if place is None or held_in is None:
        return None
    return Matrix(
        line=keys.line,
        place=place,
        held_in=held_in,
        rows=tuple(_row(keys, holder, row) for holder, row in found.items()),
    )


def _row(keys: Keys, holder: str, node: Node) -> Row:
    allowed: set[tuple[str, str]] = set()
    try:
        for entry in node.entries():
            question = _check(keys, entry.text(), entry.line)
            if question in allowed:
                keys.refuse(f"{holder}: {' '.join(question)!r} is listed twice", entry.line)
            elif question is not None:
                allowed.add(question)
    except Mistake as mistake:
        keys.refuse(f"{holder}: {mistake}", node.line)
    return Row(line=node.line, holder=holder, allowed=frozenset(allowed))
