"""policy.csv, read strictly: what Casbin would silently ignore, or misread, is refused with a line and a correction."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from wsauthz.policy import terms
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.coverage import Coverage
from wsauthz.policy.problems import Mistake, Problem, meant
from wsauthz.policy.rule_columns import (
    CATALOG,
    check_action,
    check_effect,
    check_place,
    check_resource,
    check_state,
    meaning,
)
from wsauthz.policy.rules import STATES, Rule, RuleTable
from wsauthz.policy.sizes import MOST_COVERED, MOST_PROBLEMS, MOST_ROWS, exceeds

FILE: Final = "policy.csv"
_COLUMNS: Final[Mapping[str, str]] = {
    "p": "p, subject, place, resource, action, state, effect",
    "g": "g, role, what it inherits, *",
    "g4": "g4, role above, role below",
}
_PRINTABLE: Final = frozenset(map(chr, range(0x20, 0x7F))) | {"\t"}


def read_rules(text: str, catalog: Catalog) -> tuple[RuleTable | None, list[Problem]]:
    """Return the rows of policy.csv, or None and everything that is wrong with them."""
    reader = _Reader(catalog)
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
        if len(reader.problems) >= MOST_PROBLEMS:
            reader.refuse(number, "there are many problems, so the lines after this one were not read")
            return None, sorted(reader.problems)
    if text and lines[-1]:
        reader.refuse(len(lines), "the last line has no newline: the file may be cut off")
    if not reader.rules and not reader.problems:
        reader.refuse(0, "holds no rule")
    reader.refuse_cycles()
    reader.refuse_size()
    if reader.problems:
        return None, sorted(reader.problems)
    table = RuleTable(rules=tuple(reader.rules), inherits=tuple(reader.inherits), flows=tuple(reader.flows))
    return table, []


class _Reader:
    """Rows and problems so far."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.coverage = Coverage(catalog)
        self.problems: list[Problem] = []
        self.rules: list[Rule] = []
        self.inherits: dict[tuple[str, str], int] = {}
        self.flows: dict[tuple[str, str], int] = {}
        self._meanings: dict[object, int] = {}
        self._roles = {terms.role(name) for name in catalog.roles}
        self._nodes = self._roles | {terms.permission(name) for name in catalog.permissions}
        self._subjects = self._nodes | {terms.EVERYONE}

    def refuse(self, line: int, text: str) -> None:
        self.problems.append(Problem(file=FILE, line=line, text=text))

    def read(self, number: int, line: str) -> None:
        if not _PRINTABLE.issuperset(line):
            odd = next(character for character in line if character not in _PRINTABLE)
            self.refuse(number, f"the character U+{ord(odd):04X} is not allowed; use ASCII and newlines without CR")
            return
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            return
        if "#" in stripped:
            self.refuse(number, "a comment must stand on a line of its own")
            return
        if '"' in stripped or "'" in stripped:
            self.refuse(number, "quotes are not allowed")
            return
        kind, *columns = (column.strip() for column in stripped.split(","))
        expected = _COLUMNS.get(kind)
        if expected is None:
            self.refuse(number, f"{kind!r} is not a row type: use p, g or g4")
        elif len(columns) != expected.count(","):
            self.refuse(number, f"a row {kind} has {expected.count(',') + 1} columns: {expected}")
        elif kind == "p":
            self._read_p(number, stripped, columns)
        elif kind == "g":
            self._read_g(number, columns)
        else:
            self._read_g4(number, columns)

    def _try(self, number: int, check: Callable[..., None], *arguments: object) -> bool:
        try:
            check(*arguments)
        except Mistake as mistake:
            self.refuse(number, str(mistake))
            return False
        return True

    def _read_p(self, number: int, text: str, columns: list[str]) -> None:
        subject, place, resource, action, state, effect = columns
        fine = [
            self._try(number, self._check_node, subject, self._subjects),
            self._try(number, check_place, subject, place),
            self._try(number, check_state, subject, state, effect),
            self._try(number, check_effect, state, effect),
        ]
        known = self._try(number, check_resource, resource, self.catalog, self.coverage)
        if known and action != "*":
            fine.append(self._try(number, check_action, resource, action, self.coverage))
        if not known or not all(fine):
            return
        rule = Rule(
            line=number,
            text=text,
            node=subject,
            place=None if place == "*" else terms.parse_place(place),
            resource=resource,
            action=action,
            states=STATES[state],
            allows=effect == "allow",
        )
        self._once(number, meaning(rule, self.coverage))
        self.rules.append(rule)

    def _read_g(self, number: int, columns: list[str]) -> None:
        role, inherited, place = columns
        fine = [self._try(number, self._check_node, role, self._roles)]
        fine.append(self._try(number, self._check_node, inherited, self._nodes))
        if place != "*":
            self.refuse(number, f"the third column is {place!r}: inheritance holds everywhere (did you mean *?)")
        elif all(fine):
            self._once(number, ("g", role, inherited))
            self.inherits.setdefault((role, inherited), number)

    def _read_g4(self, number: int, columns: list[str]) -> None:
        above, below = columns
        fine = [self._try(number, self._check_node, node, self._nodes) for node in columns]
        if all(fine):
            self._once(number, ("g4", above, below))
            self.flows.setdefault((above, below), number)

    def _once(self, number: int, meaning: object) -> None:
        first = self._meanings.setdefault(meaning, number)
        if first != number:
            self.refuse(number, f"says the same as line {first}")

    def _check_node(self, node: str, allowed: set[str]) -> None:
        if node in allowed:
            return
        if node == terms.EVERYONE:
            raise Mistake(f"{node} can be the subject of a row p only")
        if node in self._nodes:
            raise Mistake(f"{node} is not a role: permissions inherit nothing")
        if node.startswith("user:"):
            raise Mistake(f"{node} is a user: memberships live in the store")
        for prefixed in (terms.role(node), terms.permission(node)):
            if prefixed in allowed:
                raise Mistake(f"{node!r} lacks its prefix (did you mean {prefixed}?)")
        raise Mistake(f"{node!r} is neither a role nor a permission of {CATALOG}{meant(node, allowed)}")

    def refuse_size(self) -> None:
        """Refuse what would take too long to compile; each rule costs as much as there are actions that it covers."""
        rows = len(self.rules) + len(self.inherits) + len(self.flows)
        covered = sum(len(self.coverage.covered(rule.resource, rule.action)) for rule in self.rules)
        for text in (
            exceeds("rows", rows, MOST_ROWS),
            exceeds("actions that rules are about, each counted for every rule", covered, MOST_COVERED),
        ):
            if text:
                self.refuse(0, text)

    def refuse_cycles(self) -> None:
        """Refuse each circle of rows g, in the last of its lines."""
        below: dict[str, list[str]] = {}
        for role, inherited in self.inherits:
            below.setdefault(role, []).append(inherited)
        for circle in _circles(below):
            lines = [self.inherits[row] for row in zip(circle, [*circle[1:], circle[0]], strict=True)]
            first = lines.index(max(lines))
            path = [*circle[first:], *circle[: first + 1]]
            self.refuse(max(lines), f"closes a circle: {' -> '.join(path)}")


def _circles(below: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield a circle for each row that leads back, if there is any; each row is looked at once."""
    done: set[str] = set()
    for start in below:
        path: dict[str, Iterator[str]] = {} if start in done else {start: iter(below[start])}
        while path:
            node, rest = next(reversed(path.items()))
            following = next(rest, None)
            if following is None:
                done.add(node)
                del path[node]
            elif following in path:
                nodes = list(path)
                yield nodes[nodes.index(following) :]
            elif following not in done:
                path[following] = iter(below.get(following, ()))
