from collections.abc import Iterator

import pytest

from tests.tenancy.world import World, policy


@pytest.fixture
def dam(database_url: str) -> Iterator[World]:
    """Return a world with one protected owner for each workspace."""
    yield from _world(database_url, "dam")


@pytest.fixture
def oneglanse(database_url: str) -> Iterator[World]:
    """Return a world in which owners are equals."""
    yield from _world(database_url, "oneglanse")


@pytest.fixture
def narrow(database_url: str) -> Iterator[World]:
    """Return a world with small limits."""
    limits = "\n[limits]\nworkspaces_per_owner = 3\nchildren_per_parent = 2\nmembers_per_place = 2\n"
    yield from _world(database_url, "dam", limits)


def _world(database_url: str, name: str, more: str = "") -> Iterator[World]:
    world = World(database_url, policy(name, more))
    yield world
    assert world.facts_agree()
    world.database.close()
