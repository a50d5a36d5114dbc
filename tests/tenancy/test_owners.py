from typing import Any

import pytest

from tests.tenancy.world import World
from wsauthz.model.errors import LastOwner, MemberNotFound, PrimaryOwner, RoleCeiling


def test_one_owner_is_protected_from_everybody_below(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin")
    for lessened in ({"role": "viewer"}, {"is_active": False}, {"modules": ["dam"]}):
        with pytest.raises(PrimaryOwner):
            dam.update("bob", workspace, "ann", **lessened)
    with pytest.raises(PrimaryOwner):
        dam.remove("bob", workspace, "ann")


def test_one_owner_cannot_lessen_its_own_membership_nor_leave(dam: World) -> None:
    workspace = dam.workspace("ann")
    with pytest.raises(PrimaryOwner):
        dam.leave("ann", workspace)
    with pytest.raises(PrimaryOwner):
        dam.update("ann", workspace, "ann", role="viewer")


def test_the_platform_may_remove_one_owners_membership_and_ownership_stays(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.update("op", workspace, "ann", role="viewer")
    dam.remove("op", workspace, "ann")
    assert dam.member(workspace, "ann") is None
    assert dam.owner(workspace) == "ann"
    assert dam.may("ann", workspace, "workspace", "delete")


def test_an_operator_cannot_leave_what_it_owns(dam: World) -> None:
    workspace = dam.workspace("op")
    with pytest.raises(PrimaryOwner):
        dam.leave("op", workspace)


def test_one_owners_membership_may_say_more(dam: World) -> None:
    workspace = dam.workspace("ann")
    assert dam.update("ann", workspace, "ann", permissions=["can-manage-users"]).permissions == ("can-manage-users",)


def test_one_owner_stays_in_the_organization_of_its_workspace(dam: World) -> None:
    roof = dam.organization("ann")
    dam.add("ann", roof, "bob")
    workspace = dam.workspace("bob", organization_id=roof.id)
    with pytest.raises(PrimaryOwner):
        dam.remove("ann", roof, "bob")
    with pytest.raises(PrimaryOwner):
        dam.leave("bob", roof)
    dam.remove("op", roof, "bob")
    assert dam.member(workspace, "bob") is None


@pytest.mark.req("REQ-051")
def test_the_last_of_several_owners_cannot_go(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob")
    ways: list[Any] = [
        lambda: oneglanse.leave("ann", workspace),
        lambda: oneglanse.remove("op", workspace, "ann"),
        lambda: oneglanse.update("ann", workspace, "ann", role="member"),
        lambda: oneglanse.update("ann", workspace, "ann", is_active=False),
    ]
    before = oneglanse.revision
    for way in ways:
        with pytest.raises(LastOwner):
            way()
    assert oneglanse.revision == before


@pytest.mark.req("REQ-051", "REQ-052")
def test_an_unknown_member_is_not_found_before_owners_are_counted(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.remove("bob", workspace, "ann")
    with pytest.raises(MemberNotFound):
        oneglanse.remove("bob", workspace, "ann")
    with pytest.raises(LastOwner):
        oneglanse.remove("op", workspace, "bob")


def test_the_longest_standing_owner_follows_the_primary_one(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "zoe", "owner")
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.add("ann", workspace, "cid")
    oneglanse.remove("bob", workspace, "ann")
    assert oneglanse.owner(workspace) == "zoe"
    oneglanse.update("bob", workspace, "zoe", role="member")
    assert oneglanse.owner(workspace) == "bob"
    assert not oneglanse.may("zoe", workspace, "workspace", "delete")
    with pytest.raises(LastOwner):
        oneglanse.leave("bob", workspace)


def test_deactivating_the_primary_owner_passes_ownership_on(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.update("bob", workspace, "ann", is_active=False)
    assert oneglanse.owner(workspace) == "bob"
    assert not oneglanse.may("ann", workspace, "workspace", "view")


def test_a_deactivated_owner_is_no_successor(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.update("ann", workspace, "bob", is_active=False)
    with pytest.raises(LastOwner):
        oneglanse.leave("ann", workspace)
    oneglanse.remove("ann", workspace, "bob")


def test_other_owners_come_and_go_while_the_primary_one_stays(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.remove("ann", workspace, "bob")
    assert oneglanse.owner(workspace) == "ann"


def test_a_member_cannot_touch_an_owner(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    for user, role in (("bob", "owner"), ("cid", "member")):
        oneglanse.add("ann", workspace, user, role)
    with pytest.raises(RoleCeiling):
        oneglanse.remove("cid", workspace, "bob")
    with pytest.raises(RoleCeiling):
        oneglanse.update("cid", workspace, "ann", role="member")
    assert oneglanse.owner(workspace) == "ann"


@pytest.mark.req("REQ-051")
def test_an_organization_keeps_its_last_owner(dam: World) -> None:
    roof = dam.organization("ann")
    dam.add("ann", roof, "bob")
    with pytest.raises(LastOwner):
        dam.leave("ann", roof)
    with pytest.raises(LastOwner):
        dam.update("ann", roof, "ann", role="member")
    dam.update("ann", roof, "bob", role="organization-owner")
    dam.leave("ann", roof)
    with pytest.raises(LastOwner):
        dam.remove("op", roof, "bob")


def test_the_last_owner_of_a_workspace_cannot_be_removed_through_its_organization(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    oneglanse.add("ann", roof, "bob")
    workspace = oneglanse.workspace("bob", organization_id=roof.id)
    with pytest.raises(LastOwner):
        oneglanse.remove("ann", roof, "bob")
    assert oneglanse.member(workspace, "bob") is not None
    oneglanse.add("bob", workspace, "cid", "owner")
    oneglanse.remove("ann", roof, "bob")
    assert oneglanse.owner(workspace) == "cid"


def test_ownership_without_a_membership_does_not_outlive_the_organization(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    oneglanse.add("ann", roof, "bob")
    workspace = oneglanse.workspace("bob", organization_id=roof.id)
    oneglanse.add("bob", workspace, "cid", "owner")
    found = oneglanse.member(workspace, "bob")
    assert found is not None
    with oneglanse.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM memberships WHERE workspace_id IS NOT NULL AND user_id = 'bob'")
    oneglanse.replica.load()
    oneglanse.remove("ann", roof, "bob")
    assert oneglanse.owner(workspace) == "cid"
