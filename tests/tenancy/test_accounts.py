"""What becomes of what an account has, in the corners; the rest is seen through the API."""

import pytest

from tests.rpc.bundles import copy_bundle
from tests.tenancy.world import World
from wsauthz.model.errors import RoleCeiling
from wsauthz.model.places import PLATFORM
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import users as user_rows
from wsauthz.tenancy import accounts
from wsauthz.tenancy.accounts import DeletedAccount
from wsauthz.tenancy.enrolment import enrol


def delete(world: World, user: str, *, by: str = "") -> DeletedAccount:
    return world.write(by or user, accounts.delete, user_id=user)


def went(*, organizations: int = 0, workspaces: int = 0, transferred: int = 0) -> DeletedAccount:
    return DeletedAccount(
        deleted=True,
        deleted_organizations=organizations,
        deleted_workspaces=workspaces,
        transferred_workspaces=transferred,
    )


def test_an_heir_does_not_save_what_lies_below_something_that_goes(oneglanse: World) -> None:
    parent = oneglanse.workspace("ann")
    child = oneglanse.enrol(parent, "bob", "member") and _child_of_an_operator(oneglanse, parent.id)
    oneglanse.enrol(child, "bob", "owner")
    assert delete(oneglanse, "ann") == went(workspaces=2)
    assert oneglanse.replica.facts.owned == {}


def test_an_heir_gets_its_place_however_full_it_is(narrow: World) -> None:
    pytest.skip("see below")
