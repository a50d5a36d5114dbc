"""The engine against three others: the plain reading, stock Casbin, and itself asked another way."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import bundles, worlds
from tests.oracle.agreement import (
    access_differences,
    differences,
    engine,
    load,
    picture,
    plain,
    reverse_differences,
    stock_differences,
)
from tests.oracle.plain_state import PLATFORM, PlaceKey, Question
from tests.oracle.worlds import World

PER_WORLD = 50
SHORT, LONG = 500, 200_000

chances = st.randoms(use_true_random=False)
patient = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def several(count: int, seed: str, directory: Path | None = None) -> Iterator[tuple[World, list[Question]]]:
    """Yield worlds with questions, ``count`` questions in all; a failure names the seed of its world."""
    bundle = bundles.shipped_bundle(directory) if directory is not None else None
    for number in range(0, count, PER_WORLD):
        chance = Random(f"{seed} {number}")
        world = worlds.random_world(chance, size=chance.choice([2, 6, 12, 24]), bundle=bundle)
        yield world, [worlds.random_question(chance, world) for _ in range(PER_WORLD)]


def compare(count: int, seed: str, directory: Path | None = None) -> None:
    """Compare the three on ``count`` questions."""
    allowed = 0
    for world, questions in several(count, seed, directory):
        assert not differences(world, questions)
        assert not stock_differences(world, questions)
        allowed += sum(bool((found := plain(world, question)) and found.allowed) for question in questions)
    # Otherwise the worlds are at fault: three that always say no agree, too.
    assert count / 20 < allowed < count * 0.8


def compare_apis(count: int, seed: str, directory: Path | None = None) -> None:
    """Compare Check with GetAccess, LookupWorkspaces and LookupSubjects on ``count`` questions."""
    for world, questions in several(count, seed, directory):
        facts = load(world.state)
        for number, question in enumerate(questions):
            assert not reverse_differences(world, facts, question, page=1 + number % 4)
            if question.place is not None:
                assert not access_differences(world, facts, question.subject, question.place)


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_engine_stock_casbin_and_the_plain_reading_answer_alike(directory: Path | None) -> None:
    compare(SHORT, "short", directory)


@pytest.mark.soak
@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_they_answer_alike_two_hundred_thousand_times(directory: Path | None) -> None:
    compare(LONG, "long", directory)


@patient
@given(chances)
def test_hypothesis_finds_no_difference(chance: Random) -> None:
    world = worlds.random_world(chance, size=4)
    questions = [worlds.random_question(chance, world) for _ in range(5)]
    assert not differences(world, questions)
    assert not stock_differences(world, questions)


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_every_question_asked_the_other_way_round_has_the_same_answer(directory: Path | None) -> None:
    compare_apis(PER_WORLD * 2, "short", directory)


@pytest.mark.soak
@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_every_question_asked_the_other_way_round_has_the_same_answer_long(directory: Path | None) -> None:
    compare_apis(LONG // 20, "long", directory)


def change_and_compare(chance: Random, steps: int) -> None:
    """Apply random transactions one by one; the facts must be those that a fresh load makes of the outcome."""
    world = worlds.random_world(chance, size=chance.choice([2, 8, 16]))
    facts = load(world.state)
    for _ in range(steps):
        for kind, values in worlds.random_change(chance, world.policy, world.state):
            facts.apply(kind, values)
            world.state.put(kind, values)
        assert picture(facts) == picture(load(world.state))
    for _ in range(10):
        question = worlds.random_question(chance, world)
        assert engine(facts, world, question) == plain(world, question)


def test_facts_that_follow_changes_are_those_of_a_fresh_load() -> None:
    for seed in range(30):
        change_and_compare(Random(seed), steps=20)


@pytest.mark.soak
def test_facts_that_follow_changes_are_those_of_a_fresh_load_long() -> None:
    for seed in range(3_000):
        change_and_compare(Random(f"long {seed}"), steps=40)


@patient
@given(chances)
def test_an_allow_lasts_exactly_until_it_says(chance: Random) -> None:
    world = worlds.random_world(chance, size=4)
    facts = load(world.state)
    for _ in range(5):
        question = worlds.random_question(chance, world)
        found = engine(facts, world, question)
        if found is not None and found.allowed:
            moments = sorted({row["expires_at"] or worlds.NOW for row in world.state.memberships.values()})
            for moment in (moment for moment in moments if moment > worlds.NOW):
                later = engine(facts, world, question, moment)
                assert later is not None
                assert later.allowed == (found.valid_until is None or moment < found.valid_until)


def test_questions_about_the_platform_are_compared_too() -> None:
    chance = Random("platform")
    for _ in range(8):
        world = worlds.random_world(chance, size=3)
        place: PlaceKey = PLATFORM
        questions = [worlds.random_question(chance, world)._replace(place=place) for _ in range(PER_WORLD)]
        assert not differences(world, questions)
        assert not stock_differences(world, questions)
        facts = load(world.state)
        for question in questions[:10]:
            assert not reverse_differences(
                world, facts, question._replace(resource="workspace", action="create"), page=3
            )
