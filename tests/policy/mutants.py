"""Changed copies of a policy.csv: cut off, a character changed, a row dropped, widened, narrowed, flipped or moved."""

import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wsauthz.policy.catalog import Catalog
from wsauthz.policy.rules import STATES
from wsauthz.policy.terms import EVERYONE, permission, role

CHARACTERS: Final = string.printable.replace("\x0b", "").replace("\x0c", "") + "\x00\u00e9\u2028"
"""What a character may be changed into, or what may slip in: all of ASCII that can be typed, and some that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A changed policy.csv; ``block`` holds its lines around the change, ``before`` what they were; empty: unknown."""

    what: str
    text: str
    block: str = ""
    before: str = ""


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
