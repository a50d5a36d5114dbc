"""Nobody gives more than they hold, whatever the roles are called and however they inherit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tenancy.world import POLICIES, World
from wsauthz.model.errors import RoleCeiling
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.tenancy import memberships

ROLES = """
[roles.helper]
rank = 1
title = "Helper"
assignable = true
owner_like = false
places = ["workspace"]

[roles.lead]
rank = 20
title = "Lead"
assignable = true
owner_like = false
places = ["workspace"]
"""


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    """Return the dam bundle with a helper, who ranks lowest and inherits what an admin may, and a lead in between."""
    bundle = tmp_path / "policies" / "dam"
    bundle.mkdir(parents=True)
    (bundle.parent / "model.conf").write_bytes((POLICIES / "model.conf").read_bytes())
    (bundle / "catalog.toml").write_text((POLICIES / "dam" / "catalog.toml").read_text() + ROLES)
    (bundle / "policy.csv").write_text(
        (POLICIES / "dam" / "policy.csv").read_text() + "g, role:helper, role:admin, *\n"
    )
    made = World(sqlite_url, CurrentPolicy(bundle, core_vocabulary()))
    yield made
    made.database.close()


def test_a_low_role_that_inherits_a_high_one_is_given_only_by_who_has_the_high_one(world: World) -> None:
    """Its rank alone says that anybody may give it, and whoever gets it may do what an admin may."""
    studio = world.workspace("ann")
    world.enrol(studio, "bob", "lead")
    with pytest.raises(RoleCeiling):
        world.add("bob", studio, "eve", "helper")
    world.add("ann", studio, "eve", "helper")
    place = ("workspace", studio.id)
    with pytest.raises(RoleCeiling):
        world.write("bob", memberships.remove, place=place, user_id="eve")


def test_a_member_is_not_moved_to_a_low_role_that_inherits_a_high_one(world: World) -> None:
    """It looks like a demotion."""
    studio = world.workspace("ann")
    world.enrol(studio, "bob", "lead")
    world.enrol(studio, "eve", "lead")
    with pytest.raises(RoleCeiling):
        world.write("bob", memberships.update, place=("workspace", studio.id), user_id="eve", values={"role": "helper"})
