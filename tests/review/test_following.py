"""Following ends when it is told to, whatever comes at that very moment."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.tenancy.world import World, policy
from wsauthz.replica.following import Follower

SECONDS = 5.0


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    """Return a database under the dam bundle."""
    made = World(sqlite_url, policy("dam"))
    yield made
    made.database.close()


@pytest.mark.parametrize("ticks", range(5))
def test_a_follower_that_is_woken_as_it_is_stopped_stops(world: World, ticks: int) -> None:
    """Before Python 3.12 `wait_for` forgets that it was cancelled when what it waits for comes at the same moment."""

    async def run() -> None:
        follower = Follower(world.replica, 0.2)
        follower.start()
        await asyncio.sleep(0.1)
        follower._woken.set()
        for _ in range(ticks):
            await asyncio.sleep(0)
        polling = follower._tasks[0]
        polling.cancel()
        done, _ = await asyncio.wait({polling}, timeout=SECONDS)
        polling.cancel()
        await follower.stop()
        assert done

    asyncio.run(run())


def test_the_notification_of_a_write_of_ones_own_wakes_nobody_unless_it_does_not_arrive(world: World) -> None:
    """Its commit may have failed, and the revision be another process's."""

    async def wakes(committing: str, told: str) -> tuple[bool, bool]:
        follower = Follower(world.replica, 3600)
        world.replica.committing = committing
        follower._told(told)
        at_once = follower._woken.is_set()
        await asyncio.sleep(0.3)
        return at_once, follower._woken.is_set()

    world.user("ann")
    have = world.replica.revision
    following = f"{have.epoch}.{have.value + 1}"
    assert world.replica.committing == have.notice
    assert asyncio.run(wakes(have.notice, have.notice)) == (False, False)
    assert asyncio.run(wakes(have.notice, following)) == (True, True)
    assert asyncio.run(wakes(following, following)) == (False, True)
    assert asyncio.run(wakes(have.token, f"another.{have.value}")) == (True, True)
