"""Many callers at once, over two processes on PostgreSQL and one on SQLite; first without what protects them."""

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.postgres import execute
from tests.processes.arena import Arena, arena
from tests.processes.races import RACES
from tests.rpc.conftest import database_for

TRIES = 20
FEW = 8
"""Callers who are enough to show what happens without protection."""
MANY = 24
SOAK_MANY = 64
SOAK_ROUNDS = 20


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def protected(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """Return servers as they are."""
    processes = 1 if request.param == "sqlite" else 2
    callers = SOAK_MANY if request.config.getoption("--soak") else MANY
    with database_for(request, request.param) as url, arena(url, processes, callers=callers) as found:
        yield found


@pytest.fixture(scope="module")
def unprotected(postgresql_databases: Databases) -> Iterator[Arena]:
    """Return servers, and a database, without any of the protections."""
    statements = {each: None for race in RACES.values() for each in race.database}
    code = {each: None for race in RACES.values() for each in race.code}
    with postgresql_databases.lend() as url:
        for statement in statements:
            execute(url, statement)
        with arena(url, 2, callers=FEW, without=code) as found:
            yield found


def goes_wrong(found: Arena, name: str) -> bool:
    """Run a race until it ends badly; calls that are merely refused are not what is meant."""
    return any(RACES[name].run(found)[0] for _ in range(TRIES))


def goes_well(found: Arena, name: str, rounds: int) -> bool:
    """Run a race so often, and see it end well every time."""
    outcomes = [RACES[name].run(found) for _ in range(rounds)]
    assert not [outcome for outcome in outcomes if any(outcome)]
    return True


@pytest.mark.parametrize("name", RACES)
def test_without_protection_it_goes_wrong(unprotected: Arena, name: str) -> None:
    assert goes_wrong(unprotected, name)


@pytest.mark.req("REQ-020", "REQ-051")
@pytest.mark.parametrize("name", RACES)
def test_with_protection_it_goes_well(protected: Arena, name: str) -> None:
    assert goes_well(protected, name, RACES[name].rounds)


@pytest.mark.soak
@pytest.mark.parametrize("name", RACES)
def test_without_its_own_protection_alone_it_goes_wrong(postgresql_databases: Databases, name: str) -> None:
    race = RACES[name]
    with postgresql_databases.lend() as url:
        for statement in race.database:
            execute(url, statement)
        with arena(url, 2, callers=FEW, without=race.code) as found:
            assert goes_wrong(found, name)


@pytest.mark.soak
@pytest.mark.parametrize("name", RACES)
def test_with_protection_it_always_goes_well(protected: Arena, name: str) -> None:
    assert goes_well(protected, name, SOAK_ROUNDS * RACES[name].rounds)
