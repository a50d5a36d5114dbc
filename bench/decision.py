"""One decision in process: what a question costs at 1,000 to a million memberships, by rules and by depth."""

from collections.abc import Callable
from functools import partial
from typing import Final

from bench import charts, policies
from bench.dataset import NOW, Dataset, make
from bench.measure import Rounds, cpu_each, interleaved, microseconds, per_second, settle
from bench.questions import Asked, Sorted, draw, fresh, sort
from bench.report import Line, Section, write
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
RULES_AT: Final = 100_000
HOT_USERS: Final = 200
ROUNDS: Final = 9
QUESTIONS: Final = 40_000
"""Asked in one round of one case."""

RANDOM_PER_SECOND: Final = 150_000
HOT_PER_SECOND: Final = 300_000
MOST_BY_SIZE: Final = 4.0
MOST_BY_RULES: Final = 1.5
MOST_BY_DEPTH: Final = 2.0

Cases = dict[str, Callable[[], float]]


def run() -> None:
    """Measure, and write the section."""
    rules = policies.bundle().rules
    cases: Cases = {}
    notes: list[str] = []
    for size in SIZES:
        data = make(rules.catalog, size)
        facts = facts_of(data)
        places = [values["id"] for values in data.workspaces]
        asked = sort(draw(rules.catalog, data.memberships, places), facts, rules, QUESTIONS)
        _add(cases, f"random {size}", facts, rules, asked)
        if size == RULES_AT:
            _add_rules(cases, facts, data)
        if size == SIZES[-1]:
            _add_hot(cases, facts, rules, data)
            _add_depths(cases, facts, rules, data)
            notes.append(f"The largest data set: {data}.")
            notes.append(f"Why the denied ones there are denied, in per cent: {_shares(asked)}.")
        del data
    settle()
    taken = interleaved(cases, ROUNDS)
    _draw(taken)
    notes.append("![the cost of a decision over the number of memberships](../docs/charts/decision.svg)")
    write(_section(taken, notes))


def facts_of(data: Dataset) -> Facts:
    """Return the facts of a data set."""
    facts = Facts()
    for kind, values in data.rows():
        facts.apply(kind, values)
    return facts


def ask(facts: Facts, rules: Ruleset, questions: list[Asked]) -> float:
    """Return the CPU time of one decision, in seconds."""
    new = fresh(questions)

    def work() -> None:
        for subject, kind, place_id, resource, action in new:
            decide(facts, rules, NOW, subject=subject, place=(kind, place_id), resource=resource, action=action)

    return cpu_each(work, len(new))


def _add(cases: Cases, name: str, facts: Facts, rules: Ruleset, asked: Sorted) -> None:
    cases[f"{name} allow"] = partial(ask, facts, rules, asked.allowed)
    cases[f"{name} deny"] = partial(ask, facts, rules, asked.denied)


def _add_hot(cases: Cases, facts: Facts, rules: Ruleset, data: Dataset) -> None:
    """Add questions about few users where they are members, and in few other places."""
    members = data.memberships[:: len(data.memberships) // HOT_USERS][:HOT_USERS]
    places = [values["id"] for values in data.workspaces[:: len(data.workspaces) // HOT_USERS]]
    _add(cases, "hot", facts, rules, sort(draw(rules.catalog, members, places), facts, rules, QUESTIONS))


def _add_rules(cases: Cases, facts: Facts, data: Dataset) -> None:
    """Add the same questions asked of few and of many rules; those whose answer is the same."""
    places = [values["id"] for values in data.workspaces]
    few, many = (policies.with_rules(count, places).rules for count in (policies.FEW, policies.MANY))
    questions = draw(few.catalog, data.memberships, places)
    drawn = sort(questions, facts, few, QUESTIONS)
    again = sort((*drawn.allowed, *drawn.denied), facts, many, QUESTIONS)
    same = Sorted(
        allowed=sorted({*drawn.allowed} & {*again.allowed}),
        denied=sorted({*drawn.denied} & {*again.denied}),
        reasons=drawn.reasons,
    )
    for count, rules in ((policies.FEW, few), (policies.MANY, many)):
        _add(cases, f"rules {count}", facts, rules, same)


def _add_depths(cases: Cases, facts: Facts, rules: Ruleset, data: Dataset) -> None:
    """Add questions about the deepest workspaces, and about as many at the top, and their members."""
    deepest = max(data.depths.values())
    count = sum(found == deepest for found in data.depths.values())
    for depth in (1, deepest):
        places = [place for place, found in data.depths.items() if found == depth][:count]
        chosen = {*places}
        members = [values for values in data.memberships if values["workspace_id"] in chosen]
        _add(cases, f"depth {depth}", facts, rules, sort(draw(rules.catalog, members, places), facts, rules, QUESTIONS))


def _section(taken: dict[str, Rounds], notes: list[str]) -> Section:
    lines = []
    for answer in ("allow", "deny"):
        base = taken[f"random {SIZES[0]} {answer}"]
        for size in SIZES:
            cost = taken[f"random {size} {answer}"]
            largest = size == SIZES[-1]
            lines.append(
                Line(
                    what=f"{answer}, random subjects, {size:,} memberships",
                    figure=f"{per_second(cost).text(',.0f')}/s; {microseconds(cost).median:.2f} us",
                    target=f">= {RANDOM_PER_SECOND:,}/s" if largest else "",
                    is_met=per_second(cost).median >= RANDOM_PER_SECOND if largest else None,
                )
            )
        ratio = taken[f"random {SIZES[-1]} {answer}"].over(base)
        lines.append(_ratio(f"{answer}, {SIZES[-1]:,} over {SIZES[0]:,} memberships", ratio, MOST_BY_SIZE))
        hot = per_second(taken[f"hot {answer}"])
        lines.append(
            Line(
                what=f"{answer}, {HOT_USERS} subjects, {SIZES[-1]:,} memberships",
                figure=f"{hot.text(',.0f')}/s; {microseconds(taken[f'hot {answer}']).median:.2f} us",
                target=f">= {HOT_PER_SECOND:,}/s",
                is_met=hot.median >= HOT_PER_SECOND,
            )
        )
        ratio = taken[f"rules {policies.MANY} {answer}"].over(taken[f"rules {policies.FEW} {answer}"])
        what = f"{answer}, {policies.MANY:,} rules over {policies.FEW}, {RULES_AT:,} memberships"
        lines.append(_ratio(what, ratio, MOST_BY_RULES))
        ratio = taken[f"depth 8 {answer}"].over(taken[f"depth 1 {answer}"])
        lines.append(_ratio(f"{answer}, depth 8 over depth 1, {SIZES[-1]:,} memberships", ratio, MOST_BY_DEPTH))
    intro = (
        f"`decide` as Check calls it, on one core, {ROUNDS} rounds of {QUESTIONS:,} questions for each line, every id, "
        "resource and action in a string of its own. With policies/default."
    )
    return Section(name="decision", title="One decision in process", intro=intro, lines=lines, notes=notes)


def _draw(taken: dict[str, Rounds]) -> None:
    curves = {
        f"{answer}, random subjects": {size: microseconds(taken[f"random {size} {answer}"]).median for size in SIZES}
        for answer in ("allow", "deny")
    }
    charts.draw("decision", "Microseconds for one decision in process", "memberships", curves)


def _ratio(what: str, ratio: Rounds, most: float) -> Line:
    return Line(what=what, figure=f"x {ratio.text('.2f')}", target=f"<= x {most:g}", is_met=ratio.median <= most)


def _shares(asked: Sorted) -> str:
    total = asked.reasons.total()
    return ", ".join(f"{reason} {100 * count / total:.0f}" for reason, count in asked.reasons.most_common())
