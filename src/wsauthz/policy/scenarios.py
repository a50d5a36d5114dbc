"""Running tests.yaml against a bundle, in process and without a database: what must hold, and what it exercises.

Reading the file, preparing it with a catalog and running it against rules are three steps, so that thousands of
changed rules can be tried with the first two done once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsauthz.model.places import PlaceKey
from wsauthz.policy import rules_reader
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.decision import Decision, allowing, decide
from wsauthz.policy.explain import matched
from wsauthz.policy.facts import Facts
from wsauthz.policy.guards import check_route
from wsauthz.policy.prepared import Cell, Prepared, prepare
from wsauthz.policy.problems import BundleRefused, Problem
from wsauthz.policy.question import Question, has_module
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.scenario import Expectation, Route
from wsauthz.policy.scenario_reader import load_scenarios

__all__ = [
    "Prepared",
    "Report",
    "exercised",
    "failures",
    "has_tests",
    "load_scenarios",
    "prepare",
    "prepare_bundle",
    "refuse_failing",
    "run_scenarios",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a bundle's tests."""

    scenarios: int
    expectations: int
    """Questions asked; each cell of a matrix is one."""
    failures: tuple[Problem, ...]
    exercised: frozenset[int]
    """Lines of policy.csv whose rows ``p`` decided a question."""


def run_scenarios(bundle: Bundle, now: float) -> Report:
    """Return what came of tests.yaml; a bundle without one has no scenarios. ``now`` is in Unix seconds.

    Raises:
        BundleRefused: the file is wrong, or speaks of what the catalog lacks.

    """
    found = prepare_bundle(bundle, now)
    return Report(
        scenarios=len(found),
        expectations=sum(entry.size for entry in found),
        failures=tuple(failures(found, bundle.rules, now)),
        exercised=exercised(found, bundle.rules, now),
    )


def prepare_bundle(bundle: Bundle, now: float) -> tuple[Prepared, ...]:
    """Return the scenarios of tests.yaml with their facts at ``now`` (Unix seconds); a bundle without one has none.

    Raises:
        BundleRefused: the file is wrong, or speaks of what the catalog lacks.

    """
    return prepare(load_scenarios(bundle.files.get(TESTS, "")), bundle.catalog, now)


def refuse_failing(bundle: Bundle, now: float) -> None:
    """Return if the bundle's own tests pass at ``now`` (Unix seconds).

    Raises:
        BundleRefused: with every failed expectation.

    """
    if failed := tuple(failures(prepare_bundle(bundle, now), bundle.rules, now)):
        raise BundleRefused(failed)


def has_tests(bundle: Bundle) -> bool:
    """Tell whether tests.yaml holds a test; it is known to be valid."""
    return bool(load_scenarios(bundle.files.get(TESTS, "")))


def failures(entries: Sequence[Prepared], rules: Ruleset, now: float) -> Iterator[Problem]:
    """Yield each expectation that does not hold; the first one is enough to know that something is wrong."""
    for entry in entries:
        for line, text in _failures(entry, rules, now):
            yield Problem(file=TESTS, line=line, text=f"scenario {entry.scenario.name!r}: {text}")


def exercised(entries: Sequence[Prepared], rules: Ruleset, now: float) -> frozenset[int]:
    """Return the lines of the rows that allowed, or denied, something that was asked."""
    lines: set[int] = set()
    for entry in entries:
        for question in _questions(entry, rules):
            rows = matched(entry.facts, rules, now, question)
            denied = any(not row.allows for row in rows)
            if has_module(question.at, question.action.module) and (
                denied or allowing(entry.facts, rules, now, question) is not None
            ):
                lines.update(row.rule.line for row in rows if row.allows is not denied)
    return frozenset(lines)


def _failures(entry: Prepared, rules: Ruleset, now: float) -> Iterator[tuple[int, str]]:
    facts = entry.facts
    for expected in entry.scenario.expectations:
        decision = _decide(facts, rules, now, expected)
        text = _difference(expected, decision)
        if text:
            question = f"{expected.resource} {expected.action}"
            yield expected.line, f"{expected.subject} {question} in {_shown(expected.place)}: {text}"
    for route in entry.scenario.routes:
        text = _route_difference(facts, rules, now, route)
        if text:
            yield route.line, f"{route.subject} opens a page of workspace {route.workspace_id}: {text}"
    for cell in entry.cells:
        text = _cell_difference(facts, rules, now, cell)
        if text:
            yield cell.line, text


def _decide(facts: Facts, rules: Ruleset, now: float, expected: Expectation) -> Decision:
    return decide(
        facts,
        rules,
        now,
        subject=expected.subject,
        place=expected.place,
        resource=expected.resource,
        action=expected.action,
        required_module=expected.required_module,
    )


def _difference(expected: Expectation, decision: Decision) -> str:
    got = decision.reason
    if got is not expected.reason:
        by = f" by {rules_reader.FILE}:{decision.rule.line}" if decision.rule else ""
        return f"expected {expected.reason or 'allow'}, got {got or 'allow'}{by}"
    blocked_by = "" if decision.blocked_by is None else decision.blocked_by.key[1] or "platform"
    if expected.blocked_by is not None and blocked_by != expected.blocked_by:
        return f"expected {got} by {expected.blocked_by}, got it by {blocked_by or 'no place'}"
    return ""


def _route_difference(facts: Facts, rules: Ruleset, now: float, route: Route) -> str:
    answer = check_route(
        facts,
        rules,
        now,
        subject=route.subject,
        workspace_id=route.workspace_id,
        guards=route.guards,
        required_module=route.required_module,
        parent_workspace_id=route.parent_workspace_id,
    )
    got = answer.decision.reason
    if got is not route.reason:
        at = f" by the guard {answer.guard}" if answer.guard else ""
        return f"expected {route.reason or 'allow'}, got {got or 'allow'}{at}"
    if route.guard is not None and route.guard != answer.guard:
        return f"expected {got} by the guard {route.guard}, got it by {answer.guard or 'none'}"
    return ""


def _cell_difference(facts: Facts, rules: Ruleset, now: float, cell: Cell) -> str:
    rule = allowing(facts, rules, now, _question(cell, rules))
    if (rule is not None) is cell.is_allowed:
        return ""
    if rule is not None:
        text = f"expected a denial, got allow by {rules_reader.FILE}:{rule.line}"
    else:
        place = cell.at.key
        decision = decide(
            facts, rules, now, subject=cell.subject, place=place, resource=cell.resource, action=cell.action
        )
        text = f"expected allow, got {decision.reasons[0]}"
    return f"matrix: {cell.holder} {cell.resource} {cell.action} in {_shown(cell.at.key)}: {text}"


def _question(cell: Cell, rules: Ruleset) -> Question:
    asked, object_id = rules.action(cell.resource, cell.action)
    return Question(cell.subject, cell.at, asked, object_id, "")


def _questions(entry: Prepared, rules: Ruleset) -> Iterator[Question]:
    """Yield what is asked in places that exist, by users that are not deactivated."""
    for expected in entry.scenario.expectations:
        at = None if expected.place is None else entry.facts.places.get(expected.place)
        if at is not None and entry.facts.users.get(expected.subject) is not False:
            asked, object_id = rules.action(expected.resource, expected.action)
            yield Question(expected.subject, at, asked, object_id, expected.required_module)
    for cell in entry.cells:
        yield _question(cell, rules)


def _shown(place: PlaceKey | None) -> str:
    return "no place" if place is None else " ".join(filter(None, place))
