"""YAML and JSON as trees of values that know their lines; no anchors, no tags, no key twice.

What a plain YAML word means is up to whoever asks: the id 0123 stays ``0123``, and only a switch reads ``true``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from wsauthz.policy.problems import Mistake, Problem, meant

MAX_DEPTH: Final = 40
"""More than settings of a module have, and what a state file puts around them."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST: Final = 2**63 - 1
"""Both databases, and int64 in messages, hold numbers up to this one."""
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES: Final = {"true": True, "false": False}
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")


@dataclass(slots=True)
class Node:
    """A value and its line. ``value`` is None, a text, a number, a bool, a list of nodes, or nodes by key."""

    line: int
    value: Any
    is_plain: bool = False
    """A text that YAML has without quotes, so that it may stand for a number or for true and false."""

    def text(self) -> str:
        """Return a text, as it is written; a number stands for its digits.

        Raises:
            Mistake: it is something else.

        """
        if isinstance(self.value, str):
            if any("\ud800" <= character <= "\udfff" for character in self.value):
                raise Mistake("has half a character")
            return self.value
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        raise Mistake("must be a text")

    def switch(self) -> bool:
        """Return true or false.

        Raises:
            Mistake: it is something else.

        """
        value = _SWITCHES.get(self.value) if self.is_plain else self.value
        if isinstance(value, bool):
            return value
        raise Mistake("must be true or false")

    def number(self) -> int:
        """Return a whole number from 0 to 2**63 - 1.

        Raises:
            Mistake: it is something else.

        """
        value = self.value
        if self.is_plain and value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST)):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
            return value
        raise Mistake("must be a whole number")

    def json(self) -> Any:
        """Return the whole value as JSON has it; of plain YAML words those that JSON knows, the others are texts.

        Raises:
            Mistake: a text in it has half a character, or a number is too long.

        """
        if isinstance(self.value, list):
            return [entry.json() for entry in self.value]
        if isinstance(self.value, dict):
            return {key: entry.json() for key, entry in self.value.items()}
        if self.is_plain and (self.value in _SWITCHES or _JSON_NUMBER.match(self.value)):
            try:
                return json.loads(self.value)
            except ValueError:
                raise Mistake("has a number that is too long") from None
        return self.text() if isinstance(self.value, str) else self.value

    def entries(self) -> "list[Node]":
        """Return the entries of a list.

        Raises:
            Mistake: it is something else.

        """
        if isinstance(self.value, list):
            return self.value
        raise Mistake("must be a list")

    def items(self) -> "Mapping[str, Node]":
        """Return the values of a mapping, by key.

        Raises:
            Mistake: it is something else.

        """
        if isinstance(self.value, dict):
            return self.value
        raise Mistake("must be a mapping")


class Keys:
    """One mapping, to be emptied: whatever was never asked for is an unknown key."""

    def __init__(self, node: Node, file: str, problems: list[Problem]) -> None:
        self.line = node.line
        self._file = file
        self._problems = problems
        self._asked: list[str] = []
        self._nodes: dict[str, Node] = {}
        try:
            self._nodes.update(node.items())
        except Mistake as mistake:
            self.refuse(str(mistake))
        self._given = frozenset(self._nodes)

    def take(self, key: str) -> Node | None:
        """Return what stands at a key, None if nothing does."""
        self._asked.append(key)
        return self._nodes.pop(key, None)

    def text(self, key: str) -> str | None:
        """Return an optional text; None also after a problem was noted."""
        node = self.take(key)
        if node is None:
            return None
        try:
            return node.text()
        except Mistake as mistake:
            self.refuse(f"{key}: {mistake}", node.line)
            return None

    def entries(self, key: str) -> list[Node]:
        """Return the entries of an optional list."""
        node = self.take(key)
        if node is None:
            return []
        try:
            return node.entries()
        except Mistake as mistake:
            self.refuse(f"{key}: {mistake}", node.line)
            return []

    def refuse(self, text: str, line: int | None = None) -> None:
        """Note a problem, in the line of the mapping unless another is given."""
        self._problems.append(Problem(file=self._file, line=line or self.line, text=text))

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key, node in self._nodes.items():
            absent = [each for each in self._asked if each not in self._given]
            self.refuse(f"{key!r} is not a key here{meant(key, absent)}", node.line)


def read_yaml(file: str, text: str) -> tuple[Node | None, list[Problem]]:
    """Return the one document of a YAML text, or None and what is wrong with it."""
    problems: list[Problem] = []
    try:
        events = yaml.parse(text, Loader=_LOADER)
        node = _Composer(file, problems).document(events)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        problems.append(Problem(file=file, line=mark.line + 1 if mark else 0, text=f"is no YAML: {reason}"))
        return None, problems
    except UnicodeEncodeError:
        problems.append(Problem(file=file, line=0, text="is not UTF-8"))
        return None, problems
    except _Unreadable as unreadable:
        problems.append(unreadable.problem)
        return None, problems
    return node, problems


def read_json(file: str, line: int, text: str) -> tuple[Node | None, list[Problem]]:
    """Return the JSON value in one line of a file, or None and what is wrong with it."""
    problems: list[Problem] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key, value in items:
            if key in found:
                problems.append(Problem(file=file, line=line, text=f"the key {key!r} occurs twice"))
            found[key] = node(value)
        return found

    def node(value: Any) -> Node:
        return Node(line, [node(entry) for entry in value] if isinstance(value, list) else value)

    try:
        return node(json.loads(text, object_pairs_hook=pairs)), problems
    except (ValueError, RecursionError) as error:
        reason = (
            error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep or a number is too long"
        )
        return None, [Problem(file=file, line=line, text=f"is no JSON: {reason}")]


class _Unreadable(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class _Composer:
    """Makes nodes of the parser's events, so that an alias is refused before it multiplies anything."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems

    def document(self, events: Iterator[Any]) -> Node:
        node = Node(1, None)
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._unreadable(event, "there must be one document only")
                node = self._node(next(events), events, 0)
        return node

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._unreadable(event, "anchors and aliases are not allowed")
        if event.tag is not None:
            raise self._unreadable(event, "tags are not allowed")
        if depth > MAX_DEPTH:
            raise self._unreadable(event, f"is nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.ScalarEvent):
            is_plain = not event.style
            text = None if is_plain and event.value in _NULLS else event.value
            return Node(line, text, is_plain and text is not None)
        if isinstance(event, yaml.SequenceStartEvent):
            entries = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                entries.append(self._node(event, events, depth + 1))
            return Node(line, entries)
        found: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key.value, str):
                raise self._unreadable(event, "a key must be a text")
            if key.value in found:
                twice = Problem(file=self._file, line=key.line, text=f"the key {key.value!r} occurs twice")
                self._problems.append(twice)
            found[key.value] = value
        return Node(line, found)

    def _unreadable(self, event: Any, text: str) -> _Unreadable:
        return _Unreadable(Problem(file=self._file, line=event.start_mark.line + 1, text=text))
