"""Whom an organization has deactivated stays out of its workspaces, even after ending that membership themselves."""

from collections.abc import Callable

import pytest

from tests.tenancy.world import World
from wsauthz.model.errors import MembershipInactive
from wsauthz.model.organizations import Organization
from wsauthz.tenancy import acceptance, accounts, invitations


def leaves(world: World, roof: Organization) -> None:
    world.leave("bob", roof)


def deletes_the_account(world: World, _roof: Organization) -> None:
    world.write("bob", accounts.delete, user_id="bob")
    world.user("bob")


@pytest.mark.parametrize("goes", [leaves, deletes_the_account])
def test_whoever_leaves_while_deactivated_is_still_shut_out(
    dam: World, goes: Callable[[World, Organization], None]
) -> None:
    roof = dam.organization("ann")
    studio, other = (dam.workspace("ann", name, organization_id=roof.id) for name in ("Studio", "Other"))
    dam.user("bob")
    dam.add("ann", studio, "bob", "viewer")
    dam.add("ann", other, "eve", "admin")
    dam.update("ann", roof, "bob", is_active=False)
    with pytest.raises(MembershipInactive):
        dam.add("eve", other, "bob", "viewer")
    goes(dam, roof)
    with pytest.raises(MembershipInactive):
        dam.add("eve", other, "bob", "viewer")
    offer = {"workspace_id": other.id, "email": "bob@example.com", "role": "viewer"}
    token = dam.write("eve", invitations.create, **offer).token
    with pytest.raises(MembershipInactive):
        dam.write("bob", acceptance.accept, token=token)
    assert dam.member(roof, "bob") is None
    dam.add("ann", roof, "bob")
    dam.add("eve", other, "bob", "viewer")


def test_whoever_leaves_while_active_may_be_added_again(dam: World) -> None:
    roof = dam.organization("ann")
    studio = dam.workspace("ann", organization_id=roof.id)
    dam.add("ann", studio, "bob", "viewer")
    dam.leave("bob", roof)
    dam.add("ann", studio, "bob", "viewer")
    assert dam.member(roof, "bob") is not None
