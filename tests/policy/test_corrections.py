"""Every correction that a message about a file proposes is accepted where the mistake was."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.policy.bundle_files import CORE, FILES, catalog
from wsauthz.policy.bundle import build_bundle
from wsauthz.policy.catalog import CoreVocabulary
from wsauthz.policy.problems import BundleRefused, Problem, StateRefused
from wsauthz.policy.scenarios import prepare_bundle
from wsauthz.policy.state_check import check
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary

ROOT: Final = Path(__file__).parents[2]
WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{2,}")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:]+Z")
PROPOSED: Final = re.compile(r"\(did you mean (.+?)\?\)|write ([^\s\"]+)|: use (.+?)(?= \(did|$)")
STATE: Final = """\
users:
  - {id: ann, kind: human, email: ann@example.com, name: Ann, default_workspace: north}
organizations:
  - {id: acme, name: Acme, slug: acme}
workspaces:
  - {id: north, organization: acme, owner: ann, name: North, modules: [art, shop], enabled_providers: [post]}
  - {id: east, parent: north, owner: ann, is_suspended: true, suspended_at: 2030-01-31T12:00:00Z}
memberships:
  - {workspace: north, user: ann, role: editor, permissions: [can-hang], expires_at: 2030-01-31T12:00:00Z}
  - {organization: acme, user: ann, role: editor}
invitations:
  - {id: invitation_1, workspace: north, email: bob@example.com, role: guest, expires_at: 2030-01-31T12:00:00Z}
subscriptions:
  - {workspace: north, plan: large, status: trialing, plan_changed_at: 2030-01-31T12:00:00Z}
"""


def problems(files: dict[str, str], core: CoreVocabulary) -> list[Problem]:
    """Return what is wrong with a bundle, its tests included."""
    try:
        prepare_bundle(build_bundle(files, core), 0.0)
    except BundleRefused as refused:
        return list(refused.problems)
    return []


def state_problems(text: str) -> list[Problem]:
    """Return what is wrong with a state file."""
    try:
        return check(read_state(text, "yaml"), catalog(FILES["catalog.toml"] + ALIKE), is_complete=True)
    except StateRefused as refused:
        return list(refused.problems)


def mistyped(word: str) -> Iterator[str]:
    """Yield the word as people mistype it."""
    middle = len(word) // 2
    yield word[:middle] + word[middle + 1 :]
    yield word[:middle] + word[middle] + word[middle:]


def variants(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and text of every mistake to be made."""
    for number, line in enumerate(text.split("\n")):
        if line.lstrip().startswith("#") or re.match(r"\s*(- )?(name|title|message) *[:=]", line):
            continue
        start = sum(len(before) + 1 for before in text.split("\n")[:number])
        for found in WORD.finditer(line):
            for wrong in mistyped(found[0]):
                yield start + found.start(), start + found.end(), wrong
        for found in TIME.finditer(line):
            for wrong in ("2030-01-31", "2030-01-31T12:00", "20300131", "2030-W05-4", "2030-01-31T12", "tomorrow"):
                yield start + found.start(), start + found.end(), wrong


def corrected(text: str, problem: Problem, proposal: str, begin: int, wrong: str) -> str:
    """Return the file with the proposal in place of what the message quotes, or of what was mistyped."""
    lines = text.split("\n")
    for quoted in re.findall(r"'([^']+)'", problem.text.partition("(did")[0].partition(": write")[0]):
        whole = rf"(?<![\w-]){re.escape(quoted)}(?![\w-])"
        line, count = re.subn(whole, lambda _: proposal, lines[problem.line - 1], count=1)
        if count:
            return "\n".join([*lines[: problem.line - 1], line, *lines[problem.line :]])
    return text[:begin] + proposal + text[begin + len(wrong) :]


def proposals(problem: Problem) -> list[str]:
    """Return what the message proposes, one or several."""
    found = []
    for meant, written, listed in PROPOSED.findall(problem.text):
        found += [meant or written] if meant or written else re.split(r", | or ", listed)
    return [each for each in found if "<" not in each]  # a form, not a value


def rejected(text: str, wrong: tuple[int, int, str], read: "Reader") -> Iterator[str]:
    """Yield the proposals for one mistake that are rejected in their turn."""
    begin, end, typed = wrong
    mistaken = text[:begin] + typed + text[end:]
    for problem in read(mistaken):
        for proposal in proposals(problem):
            again = read(corrected(mistaken, problem, proposal, begin, typed))
            here = [each.text for each in again if each.line == problem.line]
            left = [each for each in here if not each.startswith("says the same")]
            if left:
                yield f"{typed!r}: {problem.text}\n    {proposal}: {left}"


class Reader:
    """Reads one file, be it one of a bundle."""

    def __init__(self, files: dict[str, str], name: str, core: CoreVocabulary) -> None:
        self._files, self._name, self._core = files, name, core

    def __call__(self, text: str) -> list[Problem]:
        if self._name == "state":
            return state_problems(text)
        found = problems({**self._files, self._name: text}, self._core)
        return [problem for problem in found if problem.file == self._name]


def check_all(text: str, read: Reader, step: int = 1) -> None:
    assert read(text) == []
    mistakes = list(variants(text))[::step]
    found = (problem for begin, end, typed in mistakes for problem in read(text[:begin] + typed + text[end:]))
    assert sum(map(bool, map(proposals, found))) > len(mistakes) / 10, "hardly a message proposes anything"
    wrong = [each for mistake in mistakes for each in rejected(text, mistake, read)]
    assert not wrong, "\n".join(dict.fromkeys(wrong))


ALIKE: Final = """
[roles.guesst]
rank = 9
title = "Of the platform"
places = ["platform"]

[roles.edito]
rank = 8
title = "Of the platform"
places = ["platform"]

[roles.editorr]
rank = 7
title = "Given by nobody"
assignable = false
places = ["workspace", "organization"]

[roles.operato]
rank = 6
title = "Of workspaces"
places = ["workspace"]

[roles.ownerr]
rank = 5
title = "Of organizations"
places = ["organization"]

[plans.lage]
type = "paid"
features = ["goldd"]
"""
"""Names that look more like a mistyped one than what was meant, and that do not fit where that stands."""


@pytest.mark.parametrize("more", ["", ALIKE], ids=["plain", "alike"])
@pytest.mark.parametrize("name", ["catalog.toml", "policy.csv", "tests.yaml"])
def test_what_is_proposed_for_a_file_of_a_bundle_is_accepted(name: str, more: str) -> None:
    files = {**FILES, "catalog.toml": FILES["catalog.toml"] + more}
    check_all(files[name], Reader(files, name, CORE))


@pytest.mark.parametrize("bundle", ["dam", "default", "eventpalour", "oneglanse"])
@pytest.mark.parametrize("name", ["catalog.toml", "policy.csv"])
def test_what_is_proposed_for_a_shipped_bundle_is_accepted(bundle: str, name: str) -> None:
    directory = ROOT / "policies" / bundle
    files = {each: (directory / each).read_text() for each in ("catalog.toml", "policy.csv", "tests.yaml")}
    check_all(files[name], Reader(files, name, core_vocabulary()), step=17)


def test_what_is_proposed_for_a_state_file_is_accepted() -> None:
    check_all(STATE, Reader({}, "state", CORE))
