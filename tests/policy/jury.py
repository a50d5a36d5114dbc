"""What becomes of a changed policy.csv: no mistake in the file may pass unnoticed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from tests.policy.mutants import Mutant
from wsauthz.model.places import PLATFORM, PlaceKey, State
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.rules import RuleTable
from wsauthz.policy.rules_reader import FILE, read_rules
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.scenarios import failures, load_scenarios, prepare
from wsauthz.policy.terms import EVERYONE, permission, role
from wsauthz.rpc.methods import core_vocabulary

BUNDLES: Final = ("default", "eventpalour", "oneglanse", "dam")
POLICIES: Final = Path(__file__).parents[2] / "policies"

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


class Jury:
    """Judges mutants of one bundle's policy.csv."""

    def __init__(self, name: str, *, scenarios: bool = True) -> None:
        self.bundle: Bundle = read_bundle(POLICIES / name, core_vocabulary())
        self.text = self.bundle.files[FILE]
        self.catalog = self.bundle.catalog
        self._meaning = meaning(self.bundle.rules)
        text = self.bundle.files[TESTS] if scenarios else ""
        self._scenarios = list(prepare(load_scenarios(text), self.catalog, _NOW))
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
    for action in (action for actions in rules.actions.values() for action in actions.values()):
        needs_plan = action.feature is not None and bool(rules.catalog.plans)
        for state, cell in action.cells.items():
            for node, rows in cell.by_node.items():
                for row in rows:
                    place, kind = None if row.place == PLATFORM else row.place, action.type.name
                    own[node].add(Right(kind, action.name, state, row.allows, needs_plan, place, row.object_id))
    roles = {name: _given(rules, own, role(name)) for name in rules.catalog.roles}
    for name, given in roles.items():
        if "workspace" not in rules.catalog.roles[name].places:
            given[0] = frozenset(right for right in given[0] if not right.needs_plan)
    # A permission comes with a role, so what every role gives, or denies, it need not give.
    common = {
        right
        for right in frozenset[Right].union(*(given[0] for given in roles.values()))
        if all({right, right._replace(allows=False)} & given[0] for given in roles.values())
    }
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


def _contents(table: RuleTable) -> object:
    rows = frozenset((r.node, r.place, r.resource, r.action, r.states, r.allows) for r in table.rules)
    return rows, frozenset(table.inherits), frozenset(table.flows)
