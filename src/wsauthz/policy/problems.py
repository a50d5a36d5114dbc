"""What is wrong with a policy bundle or a state file: collected, so that all of it is reported at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One mistake. ``line`` counts from 1; 0: the mistake has no line of its own."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Mistake(Exception):
    """What is wrong with one value; ``str()`` says how to mend it. Who knows the line makes a problem of it."""


class BundleRefused(Exception):
    """A policy bundle that must not be used; ``str()`` has one problem a line."""

    def __init__(self, problems: Sequence[Problem], *, may_pass: bool = False) -> None:
        self.problems = tuple(problems)
        self.may_pass = may_pass
        """Reading the same files again may succeed."""
        super().__init__("\n".join(map(str, self.problems)))


class StateRefused(Exception):
    """A state file that must not be imported; ``str()`` has one problem a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def meant(word: str, known: Iterable[str], *, ahead: str = "", behind: str = "") -> str:
    """Return ``" (did you mean x?)"`` if something known looks like the word, else nothing.

    ``ahead`` and ``behind`` are what the correction has to have around it where the word stands.
    """
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {ahead}{close[0]}{behind}?)" if close else ""


def one_of(word: str, known: Iterable[str]) -> str:
    """Return which of few known words was meant, else all of them: what could be written in place of the word."""
    names = list(known)
    return meant(word, names) or f": use {' or '.join(names)}"
