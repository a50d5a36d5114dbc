from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tenancy.world import World, policy
from wsauthz.model.errors import AlreadyMember, LastOwner, LimitReached, MemberNotFound, Refused

CALLERS = 16


@pytest.fixture
def other(oneglanse: World, database_url: str) -> Iterator[World]:
    """Return a second process's view of the same database."""
    world = World.__new__(World)
    world.open(database_url, policy("oneglanse"))
    yield world
    world.database.close()


def all_at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Make the calls at once and return what each of them gave, be it a refusal."""

    def run(call: Callable[[], object]) -> object:
        try:
            return call()
        except Refused as refused:
            return type(refused)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.req("REQ-051")
def test_of_owners_who_all_leave_at_once_one_stays(oneglanse: World, other: World) -> None:
    workspace = oneglanse.workspace("user0")
    users = [f"user{number}" for number in range(CALLERS)]
    for user in users[1:]:
        oneglanse.add("user0", workspace, user, "owner")
    worlds = [oneglanse, other]
    left = all_at_once(
        [
            lambda user=user, world=worlds[number % 2]: world.leave(user, workspace)  # type: ignore[misc]  # a loop's values
            for number, user in enumerate(users)
        ]
    )
    assert left.count(LastOwner) == 1
    assert left.count(None) == CALLERS - 1
    oneglanse.replica.catch_up()
    last = users[left.index(LastOwner)]
    assert oneglanse.owner(workspace) == last
    assert oneglanse.member(workspace, last) is not None


def test_somebody_added_many_times_at_once_is_added_once(oneglanse: World, other: World) -> None:
    workspace = oneglanse.workspace("ann")
    worlds = [oneglanse, other]
    added = all_at_once(
        [
            lambda world=worlds[number % 2]: world.add("ann", workspace, "bob").id  # type: ignore[misc]  # a loop's values
            for number in range(CALLERS)
        ]
    )
    assert added.count(AlreadyMember) == CALLERS - 1
    found = oneglanse.member(workspace, "bob")
    assert found is not None
    assert found.id in added
    oneglanse.replica.catch_up()


def test_somebody_removed_many_times_at_once_is_removed_once(oneglanse: World, other: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob")
    worlds = [oneglanse, other]
    removed = all_at_once(
        [
            lambda world=worlds[number % 2]: world.remove("ann", workspace, "bob")  # type: ignore[misc]  # a loop's values
            for number in range(CALLERS)
        ]
    )
    assert (removed.count(None), removed.count(MemberNotFound)) == (1, CALLERS - 1)
    oneglanse.replica.catch_up()


def test_a_limit_holds_for_callers_at_once(narrow: World) -> None:
    workspace = narrow.workspace("ann")
    calls: list[Callable[[], object]] = [
        lambda user=f"user{number}": narrow.add("ann", workspace, user).user_id  # type: ignore[misc]  # a loop's values
        for number in range(CALLERS)
    ]
    assert all_at_once(calls).count(LimitReached) == CALLERS - 1
