"""Changed copies of a policy.csv, and what becomes of them: no mistake in the file may pass unnoticed."""

import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from wsauthz.model.places import PLATFORM, PlaceKey, State
from wsauthz.policy.bundle import TESTS, Bundle, read_bundle
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.rules import STATES, RuleTable
from wsauthz.policy.rules_reader import FILE, read_rules
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.scenarios import failures, load_scenarios, prepare
from wsauthz.policy.terms import EVERYONE, permission, role
from wsauthz.rpc.methods import core_vocabulary

BUNDLES: Final = ("default", "eventpalour", "oneglanse", "dam")
POLICIES: Final = Path(__file__).parents[2] / "policies"
CHARACTERS: Final = string.printable.replace("\x0b", "").replace("\x0c", "") + "\x00\u00e9\u2028"
"""What a character may be changed into, or what may slip in: all of ASCII that can be typed, and some that is not."""

_DISTANCES: Final = range(5)
"""How far down roles are followed when two policies are compared; rows g4 settle long before."""
_NOW: Final = 1_760_000_000.0  # in Unix seconds; no scenario of the bundles depends on the time of the day


class Verdict(Enum):
    """What becomes of a changed policy.csv."""

    REFUSED = "refused by the reader"
    FAILED = "fails tests.yaml"
    UNCHANGED = "says the same"
    SURVIVED = "says something else, and nothing notices"


class Right(NamedTuple):
    """One thing that a rule allows or denies; ``place`` and ``object_id`` None: everywhere, any."""

    resource: str
    action: str
    state: State
    allows: bool
    needs_plan: bool
    place: PlaceKey | None
    object_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A changed policy.csv; ``block`` holds its lines around the change, ``before`` what they were; empty: unknown."""

    what: str
    text: str
    block: str = ""
    before: str = ""


class Jury:
    """Judges mutants of one bundle's policy.csv."""

    def __init__(self, name: str, *, scenarios: bool = True) -> None:
        self.bundle: Bundle = read_bundle(POLICIES / name, core_vocabulary())
        self.text = self.bundle.files[FILE]
        self.catalog = self.bundle.catalog
        self._meaning = meaning(self.bundle.rules)
        text = self.bundle.files[TESTS] if scenarios else ""
        self._scenarios = list(prepare(load_scenarios(text), self.catalog))
        self._known: dict[object, Verdict] = {}

    def judge(self, mutant: Mutant) -> Verdict:
        """Return what becomes of a mutant, by its changed lines alone where these are enough."""
        return self.judge_block(mutant) or self.judge_file(mutant)

    def judge_block(self, mutant: Mutant) -> Verdict | None:
        """Return REFUSED if the changed lines alone would be, UNCHANGED if they say what they said, else None."""
        if not mutant.block.endswith("\n"):
            return None
        rows = self._rows(mutant.block)
        if rows is None:
            return Verdict.REFUSED
        return Verdict.UNCHANGED if mutant.before and rows == self._rows(mutant.before) else None

    def judge_file(self, mutant: Mutant) -> Verdict:
        """Return what becomes of a mutant, by the whole file."""
        table, _ = read_rules(mutant.text, self.catalog)
        if table is None:
            return Verdict.REFUSED
        key = _contents(table)
        verdict = self._known.get(key)
        if verdict is None:
            verdict = self._known[key] = self._judge_table(table)
        return verdict

    def survivors(self, mutants: Iterable[Mutant], *, harmless: bool = True) -> tuple[Counter[Verdict], list[str]]:
        """Return how many mutants went which way, and those that nothing noticed.

        With ``harmless`` false a mutant that says the same must not be there either.
        """
        counts: Counter[Verdict] = Counter()
        found = []
        for mutant in mutants:
            verdict = self.judge(mutant)
            counts[verdict] += 1
            if verdict is Verdict.SURVIVED or (verdict is Verdict.UNCHANGED and not harmless):
                found.append(f"{mutant.what}: {verdict.value}")
        return counts, found

    def _rows(self, block: str) -> object | None:
        """Return the rows of some lines; None if they are refused."""
        table, problems = read_rules(block, self.catalog)
        if table is not None:
            return _contents(table)
        only_empty = not any(problem.line for problem in problems)  # comments: a file must hold a rule, a part need not
        return "nothing" if only_empty else None

    def _judge_table(self, table: RuleTable) -> Verdict:
        rules = Ruleset(self.catalog, table)
        if meaning(rules) == self._meaning:
            return Verdict.UNCHANGED
        for number, scenario in enumerate(self._scenarios):
            if next(failures([scenario], rules, _NOW), None) is not None:
                # The next mutant is much like this one: ask what noticed this one first.
                self._scenarios.insert(0, self._scenarios.pop(number))
                return Verdict.FAILED
        return Verdict.SURVIVED


def meaning(rules: Ruleset) -> object:
    """Return what compiled rules say: the rights of every role and permission, where it is held and below.

    The platform lies above every place, so a rule that holds there says the same as one that holds everywhere.
    ``role:everyone`` is held at the platform alone, which is always active. What needs a plan is denied above the
    workspaces whatever the rules say, because subscriptions are theirs.
    """
    own: dict[str, set[Right]] = defaultdict(set)
    for kind in rules.catalog.resources.values():
        for action, feature in kind.actions.items():
            needs_plan = feature is not None and bool(rules.catalog.plans)
            for state in STATES["any"]:
                for node, rows in rules.rows(kind.name, action, state).items():
                    for row in rows:
                        place = None if row.place == PLATFORM else row.place
                        own[node].add(Right(kind.name, action, state, row.allows, needs_plan, place, row.object_id))
    roles = {name: _given(rules, own, role(name)) for name in rules.catalog.roles}
    for name, given in roles.items():
        if "workspace" not in rules.catalog.roles[name].places:
            given[0] = frozenset(right for right in given[0] if not right.needs_plan)
    # A permission comes with a role, so what every role gives it need not give.
    common = frozenset[Right].intersection(*(given[0] for given in roles.values()))
    permissions = [_given(rules, own, permission(name)) for name in rules.catalog.permissions]
    for given in permissions:
        given[0] -= common
    everyone = {right for right in own[EVERYONE] if right.state is State.ACTIVE and not right.needs_plan}
    return frozenset(everyone), tuple(map(tuple, roles.values())), tuple(map(tuple, permissions))


def _given(rules: Ruleset, own: Mapping[str, set[Right]], node: str) -> list[frozenset[Right]]:
    """Return the rights that a role or permission gives where it is held, and at each distance below."""
    found = []
    held = rules.close([node])
    for _ in _DISTANCES:
        rights = {right for each in held for right in own.get(each, ())}
        found.append(frozenset(rights - _idle(rights)))
        held = rules.flow(held)
    return found


def _idle(rights: set[Right]) -> set[Right]:
    """Return the rights that others leave nothing to say: the same one everywhere and on any object, or a deny."""
    single = [right for right in rights if right.place is not None or right.object_id is not None]
    idle = {right for right in single if right._replace(place=None, object_id=None) in rights}
    denied = {right[:3] for right in rights.difference(single) if not right.allows}
    return idle | ({right for right in rights if right.allows and right[:3] in denied} if denied else set())


def nodes_of(catalog: Catalog) -> list[str]:
    """Return every role and permission that rows may name, ``role:everyone`` aside."""
    return [*map(role, catalog.roles), *map(permission, catalog.permissions)]


def truncations(text: str) -> Iterator[Mutant]:
    """Yield the file cut off at every byte."""
    for length in range(len(text)):
        yield Mutant(what=f"cut off after {length} bytes", text=text[:length])


def character_changes(text: str, positions: Iterable[int], characters: str = CHARACTERS) -> Iterator[Mutant]:
    """Yield the file with each character deleted, changed, preceded by another, and swapped with the next."""
    for position in positions:
        yield _edited(text, position, 1, "", "deleted")
        if text[position : position + 2].count("\n") < 2 and position + 1 < len(text):
            yield _edited(text, position, 2, text[position + 1] + text[position], "swapped with the next")
        for character in characters:
            yield _edited(text, position, 0, character, f"preceded by {character!r}")
            if character != text[position]:
                yield _edited(text, position, 1, character, f"changed into {character!r}")


def _edited(text: str, position: int, length: int, replacement: str, how: str) -> Mutant:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position + 1) + 1 or len(text)
    if end < position + length:
        end = len(text)
    line = text.count("\n", 0, position) + 1
    return Mutant(
        what=f"line {line}, {text[position]!r} in column {position - start + 1} {how}",
        text=text[:position] + replacement + text[position + length :],
        block=text[start:position] + replacement + text[position + length : end],
        before=text[start:end],
    )


def dropped_rows(text: str) -> Iterator[Mutant]:
    """Yield the file without each of its rows."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if _columns(line):
            yield Mutant(what=f"without {line.strip()}", text="".join(lines[:number] + lines[number + 1 :]))


def changed_rows(text: str, catalog: Catalog) -> Iterator[Mutant]:
    """Yield the file with each row widened, narrowed, flipped, moved to another role, and given to another role too."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        columns = _columns(line)
        for other in _variants(columns, catalog) if columns else ():
            changed = ", ".join(other) + "\n"
            ways = {"changed into": [changed]}
            if other[0] != "p" or other[1] != columns[1]:
                ways["accompanied by"] = [line, changed]
            for way, replacement in ways.items():
                mutated = "".join(lines[:number] + replacement + lines[number + 1 :])
                yield Mutant(what=f"{line.strip()} {way} {changed.strip()}", text=mutated, block=changed)


def _columns(line: str) -> list[str]:
    stripped = line.strip()
    return [] if not stripped or stripped.startswith("#") else [column.strip() for column in stripped.split(",")]


def _variants(columns: list[str], catalog: Catalog) -> Iterator[list[str]]:
    """Yield the row with each of its columns replaced by everything else that could stand there."""
    nodes = nodes_of(catalog)
    if columns[0] != "p":
        for index in (1, 2):
            yield from _replaced(columns, index, nodes)
        return
    if columns[1] != EVERYONE:
        yield [columns[0], EVERYONE, "platform", *columns[3:]]
        yield from _replaced(columns, 2, ["*", "platform", "workspace:w", "organization:o", "workspace:elsewhere"])
    for node in nodes:
        for place in {columns[2], "*"}:
            if node != columns[1]:
                yield [columns[0], node, place, *columns[3:]]
    patterns = [
        "*",
        *(f"{module}:*" for module in ("core", *catalog.modules)),
        *(f"{kind}/*" for kind in catalog.resources),
    ]
    objects = [f"{columns[3].removesuffix('*')}42"] if "/" in columns[3] else []
    yield from _replaced(columns, 3, [*patterns, *objects])
    actions = dict.fromkeys(action for kind in catalog.resources.values() for action in kind.actions)
    yield from _replaced(columns, 4, ["*", *actions])
    yield from _replaced(columns, 5, STATES)
    yield from _replaced(columns, 6, ["allow", "deny"])


def _replaced(columns: list[str], index: int, values: Iterable[str]) -> Iterator[list[str]]:
    for value in values:
        if value != columns[index]:
            yield [*columns[:index], value, *columns[index + 1 :]]


def _contents(table: RuleTable) -> object:
    rows = frozenset((r.node, r.place, r.resource, r.action, r.states, r.allows) for r in table.rules)
    return rows, frozenset(table.inherits), frozenset(table.flows)
