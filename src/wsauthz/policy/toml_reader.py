"""Tables of a TOML file, read key by key: a missing, mistyped or unknown key is a problem with a line number."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import InvalidArgument
from wsauthz.policy.problems import Problem, meant
from wsauthz.policy.sizes import MOST_PROBLEMS

Path = tuple[str | int, ...]
"""Where a value is: keys of tables, and numbers of entries in arrays of tables."""

REQUIRED: Final = object()
_TITLES: Final = {bool: "true or false", int: "a whole number", str: "a text", dict: "a table", list: "a list"}
_KEY: Final = re.compile(r"""\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*=""")
_TOML_LINE: Final = re.compile(r"line (\d+)")


class TooManyProblems(Exception):
    """A file has so many problems that reading on helps nobody."""


class TomlFile:
    """A parsed TOML file, its problems so far, and where its keys stand."""

    def __init__(self, file: str, text: str) -> None:
        """Parse the text.

        Raises:
            tomllib.TOMLDecodeError: the text is no TOML.

        """
        self.file = file
        self.values: dict[str, Any] = tomllib.loads(text)
        self.problems: list[Problem] = []
        self._text = text
        self._lines: dict[Path, int] | None = None

    def refuse(self, path: Path, text: str) -> None:
        """Note a problem with what is at the path.

        Raises:
            TooManyProblems: it is one of very many, and the rest of the file need not be read.

        """
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems
        self.problems.append(Problem(file=self.file, line=self._line(path), text=f"{dotted(path)}: {text}"))

    def table(self) -> "Table":
        """Return the whole file as a table."""
        return Table(self, (), self.values)

    def _line(self, path: Path) -> int:
        if self._lines is None:
            self._lines = _positions(self._text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)


class Table:
    """One table, to be emptied: whatever was never asked for is an unknown key."""

    def __init__(self, source: TomlFile, path: Path, values: Mapping[str, Any]) -> None:
        self.source = source
        self.path = path
        self._values = dict(values)
        self._given = frozenset(values)
        self._asked: set[str] = set()

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        """Return the value of a key; the default, or None after a problem was noted, if it is missing or mistyped."""
        self._asked.add(key)
        if key not in self._values:
            if default is REQUIRED:
                self.refuse(f"{key} is missing")
                return None
            return default
        value = self._values.pop(key)
        if type(value) is not kind:
            self.refuse(f"must be {_TITLES[kind]}", key)
            return None if default is REQUIRED else default
        return value

    def names(self, key: str, *, default: Any = REQUIRED, known: Iterable[str] | None = None) -> tuple[str, ...] | None:
        """Return a list of different texts, each one of the known ones; None after a problem or as the default."""
        entries = self.take(key, list, default)
        if not isinstance(entries, list):
            return None
        found: dict[str, None] = {}
        choices = None if known is None else dict.fromkeys(known)
        given = {entry for entry in entries if isinstance(entry, str)}
        for entry in entries:
            if not isinstance(entry, str):
                self.refuse("must be a list of texts", key)
            elif entry in found:
                self.refuse(f"{entry!r} is listed twice", key)
            elif choices is not None and entry not in choices:
                absent = [each for each in choices if each not in given]
                self.refuse(f"{entry!r} is unknown{meant(entry, absent)}", key)
            else:
                found[entry] = None
        return tuple(found)

    def has(self, key: str) -> bool:
        """Tell whether the key is there and was not taken yet."""
        return key in self._values

    def rest(self) -> list[str]:
        """Return the keys that are there and were not taken yet."""
        return list(self._values)

    def section(self, key: str, default: Any = REQUIRED) -> "Table | None":
        """Return a table inside, None if there is none."""
        values = self.take(key, dict, default)
        return Table(self.source, (*self.path, key), values) if isinstance(values, dict) else None

    def sections(self, key: str) -> "dict[str, Table]":
        """Return the tables inside an optional table, by name."""
        inside = self.take(key, dict, {})
        found = {}
        for name, values in inside.items():
            if isinstance(values, dict):
                found[name] = Table(self.source, (*self.path, key, name), values)
            else:
                self.source.refuse((*self.path, key, name), "must be a table")
        return found

    def texts(self, key: str) -> dict[str, str]:
        """Return an optional table of texts, by name."""
        inside = self.take(key, dict, {})
        found = {}
        for name, value in inside.items():
            if not isinstance(value, str):
                self.source.refuse((*self.path, key, name), f"must be {_TITLES[str]}")
                continue
            found[name] = self._checked((*self.path, key, name), value, texts.NAME_MOST, is_required=True)
        return found

    def line(self, key: str, most: int, default: Any = REQUIRED) -> str:
        """Return a text of one line, which is not blank unless there is a default; empty after a problem was noted."""
        value = self.take(key, str, default)
        if not isinstance(value, str):
            return ""
        return self._checked((*self.path, key), value, most, is_required=default is REQUIRED)

    def _checked(self, path: Path, value: str, most: int, *, is_required: bool) -> str:
        try:
            return texts.line("", value, most, required=is_required)
        except InvalidArgument as refused:
            self.source.refuse(path, refused.problem)
            return ""

    def entries(self, key: str) -> "list[Table]":
        """Return the tables of an array of tables."""
        found = []
        for number, values in enumerate(self.take(key, list, [])):
            path = (*self.path, key, number)
            if isinstance(values, dict):
                found.append(Table(self.source, path, values))
            else:
                self.source.refuse(path, "must be a table")
        return found

    def refuse(self, text: str, key: str | None = None) -> None:
        """Note a problem with the table, or with one key of it."""
        self.source.refuse(self.path if key is None else (*self.path, key), text)

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        absent = sorted(self._asked - self._given)
        for key in self._values:
            self.refuse(f"is not a key of this table{meant(key, absent)}", key)


def dotted(path: Path) -> str:
    """Return a path as TOML would write it, entries of arrays as ``[2]``, counted from 1."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            text += f".{name}" if text else name
    return text or "the file"


def syntax_problem(file: str, error: tomllib.TOMLDecodeError) -> Problem:
    """Return what the TOML parser says, with its line."""
    found = _TOML_LINE.search(str(error))
    return Problem(file=file, line=int(found[1]) if found else 0, text=f"is no TOML: {error}")


def _positions(text: str) -> dict[Path, int]:
    """Return the line of every table header and of every key at the start of a line (cheap, not a parser)."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    here: Path = ()
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            try:
                value: Any = tomllib.loads(stripped)
            except tomllib.TOMLDecodeError:
                continue
            keys: list[str] = []
            while isinstance(value, dict) and value:
                key, value = next(iter(value.items()))
                keys.append(key)
            here = tuple(keys)
            if stripped.startswith("[["):
                counts[here] = counts.get(here, -1) + 1
                here = (*here, counts[here])
            lines.setdefault(here, number)
        elif (found := _KEY.match(line)) is not None:
            lines.setdefault((*here, found[1].strip("\"'")), number)
    return lines
