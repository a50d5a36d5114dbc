"""What a remedy proposes can be done by somebody whom it names, is enough, and gives nobody more than it says."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.oracle import bundles
from tests.remedies.mending import can_anybody, mend, unsaid
from tests.remedies.states import TAKEN, Stage, random_bundle

SHORT, LONG = 40, 4_000
PER_STATE = 8
MOST_STEPS = 25
"""A remedy lifts one flag of one place; random trees are deep, and many of their places are suspended and inactive."""
BUNDLES: Any = [None, *bundles.shipped()]


def take_and_mend(count: int, seed: str, directory: Path | None, template: Path, folder: Path) -> Counter[str]:
    """Take ``count`` things away and have each mended; return what was taken how often, and what came of it."""
    seen: Counter[str] = Counter()
    number = 0
    while sum(seen[kind] for kind in TAKEN) < count:
        number += 1
        chance = Random(f"{seed} {number}")
        bundle = bundles.shipped_bundle(directory) if directory is not None else random_bundle(chance)
        path = folder / f"{number}.db"
        stage = Stage(chance, bundle, template, path)
        try:
            for _ in range(PER_STATE):
                take_one(stage, seen)
        finally:
            stage.close()
            path.unlink()
    return seen


def take_one(stage: Stage, seen: Counter[str]) -> None:
    """Take one thing away that a question is allowed by, and have it mended, step by step."""
    question = stage.random_allowed()
    taken = stage.take(question) if question is not None else ""
    if question is None or not taken:
        return
    seen[taken] += 1
    about = ""
    for _ in range(MOST_STEPS):
        decision, before = stage.decide(question), stage.allowed()
        mending = mend(stage, question)
        about = f"{question}, taken: {taken}, {decision.reasons}\n{mending}"
        if not mending.doer:
            able = can_anybody(stage, question, mending.fix)
            assert not able, (able, about)
            seen["nobody can"] += 1
            return
        assert not unsaid(stage, question, mending.fix, stage.allowed() - before), about
        if stage.decide(question).allowed:
            seen["mended"] += 1
            return
        assert "Then" in mending.fix.message or "alone is not enough" in mending.fix.message, about
    pytest.fail(about)


def check(seen: Counter[str]) -> None:
    """See that most are mended: nobody can where a random bundle denies too much, or a state breaks the rules."""
    assert seen["mended"] > 2 * seen["nobody can"], seen


@pytest.mark.parametrize("directory", BUNDLES, ids=lambda found: found.name if found else "random")
def test_a_remedy_mends_what_was_taken_and_gives_no_more_than_it_says(
    directory: Path | None, sqlite_template: Path, tmp_path: Path
) -> None:
    check(take_and_mend(SHORT, "short", directory, sqlite_template, tmp_path))


@pytest.mark.soak
@pytest.mark.parametrize("directory", BUNDLES, ids=lambda found: found.name if found else "random")
def test_a_remedy_mends_what_was_taken_and_gives_no_more_than_it_says_twenty_thousand_times(
    directory: Path | None, sqlite_template: Path, tmp_path: Path
) -> None:
    check(take_and_mend(LONG, "long", directory, sqlite_template, tmp_path))
