"""What PostgreSQL is set up with changes no answer."""

from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy.engine import make_url

from tests.postgres import execute
from tests.tenancy.world import World, policy

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_membership_until_the_end_of_9999_loads_whatever_the_time_zone_of_the_database(postgresql_url: str) -> None:
    """East of Greenwich that is the year 10000, which Python has no time for: nothing could be loaded any more."""
    name = make_url(postgresql_url).database
    execute(postgresql_url, f"ALTER DATABASE \"{name}\" SET timezone = 'Europe/Berlin'")
    world = World(postgresql_url, policy("dam"))
    with closing(world.database):
        load_a_member(world)


def load_a_member(world: World) -> None:
    """Add a member for ever, nearly, and load everything."""
    studio = world.workspace("ann")
    world.add("ann", studio, "bob", "viewer", expires_at=NEVER)
    world.replica.load()
    grants = world.replica.facts.grants["bob"]
    assert [grant.expires_at for grant in grants.values()] == [NEVER.timestamp()]
