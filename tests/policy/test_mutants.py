"""Every mistake in a shipped policy.csv is refused by the reader, or fails the bundle's tests.yaml, or changes nothing.

The short forms look at a sample, the same one on every run; the soak forms at everything.
"""

import functools
import random

import pytest

from tests.policy.jury import BUNDLES, Jury, Verdict
from tests.policy.mutants import Mutant, changed_rows, character_changes, dropped_rows, truncations

bundles = pytest.mark.parametrize("bundle", BUNDLES)


@functools.cache
def jury(bundle: str) -> Jury:
    return Jury(bundle)


def sample(mutants: list[Mutant], count: int) -> list[Mutant]:
    return random.Random(20).sample(mutants, min(count, len(mutants)))


@pytest.mark.req("REQ-149")
@bundles
def test_every_row_matters(bundle: str) -> None:
    counts, found = jury(bundle).survivors(dropped_rows(jury(bundle).text), harmless=False)
    assert not found
    assert counts[Verdict.FAILED] == counts.total() > 50


@pytest.mark.req("REQ-149")
@bundles
def test_a_file_cut_off_anywhere_is_noticed(bundle: str) -> None:
    text = jury(bundle).text
    cut = list(truncations(text))
    at_rows = [mutant for mutant in cut if mutant.text.endswith("\n")]
    counts, found = jury(bundle).survivors([*at_rows, *sample(cut, 150)], harmless=False)
    assert not found
    assert counts[Verdict.FAILED]
    assert counts[Verdict.REFUSED]


@pytest.mark.req("REQ-149")
@bundles
def test_a_changed_character_is_noticed(bundle: str) -> None:
    text = jury(bundle).text
    chance = random.Random(21)
    starts = [position for position in range(1, len(text)) if text[position - 1 :].startswith(("\np,", "\ng,"))]
    positions = chance.sample(range(len(text)), 20) + chance.sample(starts, 5)  # a stray # drops a row
    counts, found = jury(bundle).survivors(character_changes(text, positions))
    assert not found
    assert counts[Verdict.FAILED]
    assert counts[Verdict.REFUSED]


@pytest.mark.req("REQ-149")
@bundles
def test_a_changed_row_is_noticed(bundle: str) -> None:
    mutants = list(changed_rows(jury(bundle).text, jury(bundle).catalog))
    counts, found = jury(bundle).survivors(sample(mutants, 100))
    assert not found
    assert counts[Verdict.FAILED]
    assert counts[Verdict.REFUSED]


@bundles
def test_changed_lines_alone_get_the_verdict_of_their_file(bundle: str) -> None:
    text = jury(bundle).text
    positions = random.Random(22).sample(range(len(text)), 20)
    mutants = sample(list(character_changes(text, positions)), 120)
    mutants += sample(list(changed_rows(text, jury(bundle).catalog)), 80)
    verdicts = [(jury(bundle).judge_block(mutant), jury(bundle).judge_file(mutant)) for mutant in mutants]
    by_block = [(block, file) for block, file in verdicts if block is not None]
    assert len(by_block) > 100
    assert all(block is file for block, file in by_block)


@bundles
def test_without_scenarios_mutants_would_survive(bundle: str) -> None:
    careless = Jury(bundle, scenarios=False)
    _, found = careless.survivors(dropped_rows(careless.text))
    assert len(found) > 50


def test_what_is_said_otherwise_is_no_change() -> None:
    text = jury("dam").text
    counts, _ = jury("dam").survivors(
        [
            Mutant(what="a comment", text="# more\n" + text),
            Mutant(what="blanks", text=text.replace(", ", ",")),
            Mutant(what="the rows the other way round", text="\n".join(reversed(text.splitlines())) + "\n"),
            Mutant(what="everywhere is below the platform", text=text.replace("operator, *,", "operator, platform,")),
        ]
    )
    assert counts == {Verdict.UNCHANGED: 4}


@pytest.mark.soak
@pytest.mark.req("REQ-149")
@bundles
def test_a_file_cut_off_at_any_byte_is_noticed(bundle: str) -> None:
    _, found = jury(bundle).survivors(truncations(jury(bundle).text), harmless=False)
    assert not found


@pytest.mark.soak
@pytest.mark.req("REQ-149")
@bundles
def test_any_changed_character_is_noticed(bundle: str) -> None:
    text = jury(bundle).text
    _, found = jury(bundle).survivors(character_changes(text, range(len(text))))
    assert not found[:20]


@pytest.mark.soak
@pytest.mark.req("REQ-149")
@bundles
def test_any_changed_row_is_noticed(bundle: str) -> None:
    _, found = jury(bundle).survivors(changed_rows(jury(bundle).text, jury(bundle).catalog))
    assert not found[:20]
