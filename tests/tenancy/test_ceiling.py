from typing import Any

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import RoleCeiling
from wsauthz.tenancy import memberships


def test_nobody_gives_a_role_above_their_own(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.user("eve")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    dam.add("ann", workspace, "cid", "viewer")
    with pytest.raises(RoleCeiling, match="The role 'admin' is above your own") as refused:
        dam.add("bob", workspace, "eve", "admin")
    assert refused.value.latest is None  # no expiry would make it allowed
    with pytest.raises(RoleCeiling):
        dam.add("bob", workspace, "eve")  # the default role is above a viewer, too
    with pytest.raises(RoleCeiling):
        dam.write("bob", memberships.add_by_email, place=key(workspace), email="eve@example.com", role="member")
    with pytest.raises(RoleCeiling):
        dam.write("bob", memberships.add_by_email, place=key(workspace), email="nobody@example.com", role="member")
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "cid", role="member")
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "bob", role="admin")
    assert dam.add("bob", workspace, "eve", "viewer").role == "viewer"


def test_equals_give_their_own_role(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin")
    assert dam.add("bob", workspace, "cid", "admin").role == "admin"
    dam.remove("cid", workspace, "bob")


def test_nobody_gives_a_permission_they_do_not_hold(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    dam.add("ann", workspace, "cid", "viewer", permissions=["can-manage-workspace"])
    with pytest.raises(RoleCeiling):
        dam.add("bob", workspace, "eve", "viewer", permissions=["can-manage-workspace"])
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "bob", permissions=["can-manage-users", "can-manage-workspace"])
    dam.add("bob", workspace, "eve", "viewer", permissions=["can-manage-users"])
    # What somebody else gave may stay, and may be taken.
    dam.update("bob", workspace, "cid", permissions=["can-manage-workspace", "can-manage-users"])
    dam.update("bob", workspace, "cid", permissions=["can-manage-users"])
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "cid", permissions=["can-manage-users", "can-manage-workspace"])


def test_a_permission_that_a_role_one_may_give_implies_may_be_given(dam: World) -> None:
    workspace = dam.workspace("ann")
    added = dam.add("op", workspace, "bob", "viewer", permissions=["can-manage-workspace"])
    assert added.permissions == ("can-manage-workspace",)


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_nobody_gives_modules_they_do_not_hold(dam: World, role: str) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin", modules=["dam"])
    dam.add("ann", workspace, "cid", role, modules=["dam"])
    wider: list[Any] = [None, ["dam", "analytics"], ["analytics"]]
    for modules in wider:
        with pytest.raises(RoleCeiling):
            dam.add("bob", workspace, "eve", role, modules=modules)
        with pytest.raises(RoleCeiling):
            dam.update("bob", workspace, "cid", modules=modules)
    assert dam.add("bob", workspace, "eve", role, modules=["dam"]).modules == ("dam",)
    assert dam.update("bob", workspace, "cid", modules=[]).modules == ()


def test_a_rank_counts_only_in_the_modules_it_was_given_for(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.add("ann", parent, "bob", "admin", modules=["dam"])
    dam.add("ann", child, "bob", "viewer")
    with pytest.raises(RoleCeiling):
        dam.add("bob", child, "cid", "admin", modules=["analytics"])
    dam.add("bob", child, "cid", "viewer", modules=["analytics"])
    dam.add("bob", child, "eve", "admin", modules=["dam"])


def test_roles_that_flow_down_count(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.add("ann", parent, "bob", "admin")
    dam.add("bob", child, "cid", "admin")
    dam.remove("bob", child, "cid")
    dam.add("op", child, "cid", "admin")


def test_nobody_touches_a_member_above_them(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    dam.add("ann", workspace, "cid", "member")
    for change in ({"role": "viewer"}, {"is_active": False}, {"permissions": ["can-manage-users"]}):
        with pytest.raises(RoleCeiling):
            dam.update("bob", workspace, "cid", **change)
    with pytest.raises(RoleCeiling):
        dam.remove("bob", workspace, "cid")


def test_rank_that_flows_from_above_protects_a_member_with_a_low_role(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.add("ann", child, "bob", "member", permissions=["can-manage-users"])
    dam.add("ann", parent, "cid", "admin")
    dam.add("ann", child, "cid", "viewer")
    with pytest.raises(RoleCeiling):
        dam.remove("bob", child, "cid")


def test_a_deactivated_admin_is_still_above_a_viewer(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    dam.add("ann", workspace, "cid", "admin")
    dam.update("ann", workspace, "cid", is_active=False)
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "cid", is_active=True)
    with pytest.raises(RoleCeiling):
        dam.remove("bob", workspace, "cid")


def test_activating_gives_everything_the_membership_says(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    dam.add("ann", workspace, "cid", "viewer", permissions=["can-manage-workspace"])
    dam.update("ann", workspace, "cid", is_active=False)
    with pytest.raises(RoleCeiling):
        dam.update("bob", workspace, "cid", is_active=True)


def test_a_stranger_holds_nothing_to_give(dam: World) -> None:
    workspace = dam.workspace("ann")
    with pytest.raises(RoleCeiling):
        dam.add("stranger", workspace, "bob", "viewer", modules=[])
