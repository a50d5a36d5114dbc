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
