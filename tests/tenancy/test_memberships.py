from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import (
    AlreadyMember,
    CannotRemoveSelf,
    InvalidArgument,
    LimitReached,
    MemberNotFound,
    PlaceInactive,
    PlaceSuspended,
    UnknownModule,
    UnknownPermission,
    UnknownRole,
    WorkspaceNotFound,
)
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy import memberships, workspace_states
from wsauthz.tenancy.memberships import AddMemberOutcome


def soon(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


def expire(world: World, place: Any, user: str) -> None:
    member = world.member(place, user)
    assert member is not None
    with world.database.write() as connection:
        membership_rows.update(connection, member.id, {"expires_at": soon(seconds=-1)})
    world.replica.load()


@pytest.mark.req("REQ-014", "REQ-037")
def test_without_a_role_a_member_gets_the_default_one(dam: World) -> None:
    workspace = dam.workspace("ann")
    added = dam.add("ann", workspace, "bob")
    assert (added.role, added.permissions, added.modules, added.is_active) == ("member", (), None, True)
    assert added.id.startswith("member_")
    assert added == dam.member(workspace, "bob")
    assert dam.may("bob", workspace, "workspace", "view")


@pytest.mark.req("REQ-094", "REQ-096")
def test_a_membership_carries_role_permissions_modules_and_expiry(dam: World) -> None:
    workspace = dam.workspace("ann")
    until = soon(days=1)
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"], modules=["dam"], expires_at=until)
    found = dam.member(workspace, "bob")
    assert found is not None
    assert (found.role, found.permissions, found.modules) == ("viewer", ("can-manage-users",), ("dam",))
    assert found.expires_at == until


@pytest.mark.req("REQ-024", "REQ-049")
def test_somebody_is_a_member_of_a_place_once(dam: World) -> None:
    workspace = dam.workspace("ann")
    for number in range(20):
        dam.add("ann", workspace, f"user{number}")
    before = dam.revision
    with pytest.raises(AlreadyMember):
        dam.add("ann", workspace, "user7")
    assert dam.revision == before


@pytest.mark.req("REQ-050", "REQ-052")
def test_a_removed_member_can_be_added_again_and_gets_a_new_row(dam: World) -> None:
    workspace = dam.workspace("ann")
    first = dam.add("ann", workspace, "bob", "admin")
    dam.remove("ann", workspace, "bob")
    assert not dam.may("bob", workspace, "workspace", "view")
    with pytest.raises(MemberNotFound):
        dam.remove("ann", workspace, "bob")
    again = dam.add("ann", workspace, "bob")
    assert again.id != first.id
    assert (again.role, again.joined_at > first.joined_at) == ("member", True)


@pytest.mark.req("REQ-097")
def test_a_deactivated_member_cannot_be_added_but_activated_again(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob")
    dam.update("ann", workspace, "bob", is_active=False)
    assert not dam.may("bob", workspace, "workspace", "view")
    with pytest.raises(AlreadyMember):
        dam.add("ann", workspace, "bob")
    dam.update("ann", workspace, "bob", is_active=True)
    assert dam.may("bob", workspace, "workspace", "view")


def test_an_expired_membership_is_closed_and_replaced(dam: World) -> None:
    workspace = dam.workspace("ann")
    first = dam.add("ann", workspace, "bob", "admin", expires_at=soon(days=1))
    expire(dam, workspace, "bob")
    assert not dam.may("bob", workspace, "workspace", "view")
    again = dam.add("ann", workspace, "bob", "viewer")
    assert (again.id != first.id, again.role, again.expires_at) == (True, "viewer", None)
    assert dam.may("bob", workspace, "workspace", "view")


UNKNOWN: list[tuple[dict[str, Any], type[InvalidArgument]]] = [
    ({"role": "moderator"}, UnknownRole),
    ({"role": "Admin"}, UnknownRole),
    ({"role": "owner"}, UnknownRole),  # not assignable here
    ({"role": "organization-owner"}, UnknownRole),  # not for workspaces
    ({"role": "operator"}, UnknownRole),
    ({"permissions": ["can-fly"]}, UnknownPermission),
    ({"permissions": ["can-manage-users", "can-manage-users"]}, InvalidArgument),
    ({"modules": ["crm"]}, UnknownModule),
    ({"modules": ["core"]}, UnknownModule),
    ({"modules": ["dam", "dam"]}, InvalidArgument),
    ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, InvalidArgument),
]


@pytest.mark.req("REQ-015", "REQ-069", "REQ-095", "REQ-096")
def test_only_what_the_catalog_knows_can_be_given(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer")
    dam.known("cid")
    before = dam.revision
    for terms, refusal in UNKNOWN:
        with pytest.raises(refusal):
            dam.add("ann", workspace, "cid", **terms)
        with pytest.raises(refusal):
            dam.update("ann", workspace, "bob", **terms)
    assert dam.revision == before


def test_a_role_for_workspaces_only_is_unknown_in_an_organization(dam: World) -> None:
    roof = dam.organization("ann")
    with pytest.raises(UnknownRole):
        dam.add("ann", roof, "bob", "admin")
    assert dam.add("ann", roof, "bob").role == "member"


def test_owner_like_memberships_take_no_expiry_and_no_module_list(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "cid", "member", modules=["analysis"])
    limited: list[dict[str, Any]] = [{"modules": ["analysis"]}, {"expires_at": soon(days=1)}]
    for terms in limited:
        with pytest.raises(InvalidArgument) as refused:
            oneglanse.add("ann", workspace, "bob", "owner", **terms)
        assert refused.value.field in terms
        with pytest.raises(InvalidArgument):
            oneglanse.update("ann", workspace, "ann", **terms)
    with pytest.raises(InvalidArgument):
        oneglanse.update("ann", workspace, "cid", role="owner")
    oneglanse.update("ann", workspace, "cid", role="owner", modules=None)


@pytest.mark.parametrize("state", [workspace_states.suspend, workspace_states.deactivate])
def test_nobody_is_added_while_the_place_or_one_above_is_suspended_or_inactive(dam: World, state: Any) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.user("bob")
    dam.write("op", state, workspace_id=parent.id)
    refusal = PlaceSuspended if state is workspace_states.suspend else PlaceInactive
    for workspace in (parent, child):
        with pytest.raises(refusal):
            dam.add("ann", workspace, "bob")
        with pytest.raises(refusal):
            dam.write("ann", memberships.add_by_email, place=key(workspace), email="bob@example.com")


def test_a_place_has_as_many_members_as_the_catalog_says(narrow: World) -> None:
    workspace = narrow.workspace("ann")
    narrow.add("ann", workspace, "bob")
    with pytest.raises(LimitReached):
        narrow.add("ann", workspace, "cid")
    narrow.remove("ann", workspace, "bob")
    narrow.add("ann", workspace, "cid", expires_at=soon(days=1))
    expire(narrow, workspace, "cid")
    narrow.add("ann", workspace, "cid")  # in the place of its own expired one


@pytest.mark.req("REQ-053")
def test_adding_by_email_has_three_outcomes(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.user("bob")
    dam.user("cid", verified=False)
    before = dam.revision

    def add(email: str) -> tuple[AddMemberOutcome, Any]:
        return dam.write("ann", memberships.add_by_email, place=key(workspace), email=email, role="viewer")

    assert add("nobody@example.com") == (AddMemberOutcome.NOT_FOUND, None)
    assert add("cid@example.com") == (AddMemberOutcome.NOT_FOUND, None)
    assert dam.revision == before
    outcome, added = add(" BOB@example.com ")
    assert (outcome, added.user_id, added.role) == (AddMemberOutcome.ADDED, "bob", "viewer")
    before = dam.revision
    assert add("bob@example.com") == (AddMemberOutcome.ALREADY_MEMBER, added)
    assert dam.revision == before
    with pytest.raises(InvalidArgument):
        add("bob")


@pytest.mark.req("REQ-054")
def test_every_way_into_a_workspace_gives_a_membership_of_its_organization(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    workspace = oneglanse.workspace("ann", organization_id=roof.id)
    oneglanse.add("ann", workspace, "bob", "owner")
    oneglanse.user("cid")
    oneglanse.write("ann", memberships.add_by_email, place=key(workspace), email="cid@example.com")
    for user in ("bob", "cid"):
        found = oneglanse.member(roof, user)
        assert found is not None
        assert found.role == "member"


@pytest.mark.req("REQ-054")
def test_a_member_without_one_gets_it_when_added_by_email_again(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    workspace = oneglanse.workspace("ann", organization_id=roof.id)
    oneglanse.user("bob")
    oneglanse.enrol(workspace, "bob", "member")
    outcome, _ = oneglanse.write("ann", memberships.add_by_email, place=key(workspace), email="bob@example.com")
    assert outcome == AddMemberOutcome.ALREADY_MEMBER
    assert oneglanse.member(roof, "bob") is not None


def test_leaving_a_workspace_keeps_the_organization(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    workspace = oneglanse.workspace("ann", organization_id=roof.id)
    oneglanse.add("ann", workspace, "bob")
    oneglanse.leave("bob", workspace)
    assert oneglanse.member(workspace, "bob") is None
    assert oneglanse.member(roof, "bob") is not None


def test_who_leaves_the_organization_leaves_its_workspaces_and_no_others(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    inside = [oneglanse.workspace("ann", name, organization_id=roof.id) for name in ("One", "Two")]
    outside = oneglanse.workspace("ann", "Elsewhere")
    for workspace in (*inside, outside):
        oneglanse.add("ann", workspace, "bob")
        oneglanse.add("ann", workspace, "cid")
    oneglanse.remove("ann", roof, "bob")
    oneglanse.leave("cid", roof)
    for user in ("bob", "cid"):
        assert [oneglanse.member(roof, user), *(oneglanse.member(place, user) for place in inside)] == [None] * 3
        assert oneglanse.member(outside, user) is not None


def test_removing_yourself_is_what_leaving_is_for(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    with pytest.raises(CannotRemoveSelf):
        oneglanse.remove("bob", workspace, "bob")
    oneglanse.leave("bob", workspace)
    assert oneglanse.member(workspace, "bob") is None


def test_leaving_asks_the_policy_and_a_membership_of_your_own(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.add("ann", parent, "bob", "admin")
    with pytest.raises(WorkspaceNotFound):
        dam.leave("stranger", parent)
    with pytest.raises(MemberNotFound):
        dam.leave("bob", child)


@pytest.mark.req("REQ-052")
def test_an_unknown_member_is_not_found(dam: World) -> None:
    workspace = dam.workspace("ann")
    with pytest.raises(MemberNotFound):
        dam.remove("ann", workspace, "bob")
    with pytest.raises(MemberNotFound):
        dam.update("ann", workspace, "bob", role="viewer")


def test_an_update_changes_what_it_names_and_nothing_else(dam: World) -> None:
    workspace = dam.workspace("ann")
    until = soon(days=3)
    added = dam.add("ann", workspace, "bob", "viewer", modules=["dam"], expires_at=until)
    changed = dam.update("ann", workspace, "bob", role="admin")
    assert (changed.role, changed.modules, changed.expires_at) == ("admin", ("dam",), until)
    assert (changed.id, changed.joined_at) == (added.id, added.joined_at)
    assert changed == dam.member(workspace, "bob")
    cleared = dam.update("ann", workspace, "bob", modules=None, expires_at=None, role="")
    assert (cleared.role, cleared.modules, cleared.expires_at) == ("member", None, None)
    assert dam.update("ann", workspace, "bob", modules=[]).modules == ()


def test_an_update_that_changes_nothing_makes_no_revision(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "viewer", permissions=["can-manage-users"])
    before = dam.revision
    values = {"role": "viewer", "permissions": ("can-manage-users",), "modules": None, "is_active": True}
    assert dam.update("ann", workspace, "bob", **values, expires_at=None).role == "viewer"
    assert dam.revision == before


def test_who_was_removed_by_somebody_else_is_remembered(dam: World) -> None:
    workspace = dam.workspace("ann")
    removed = dam.add("ann", workspace, "bob")
    left = dam.add("ann", workspace, "cid")
    dam.remove("ann", workspace, "bob")
    dam.leave("cid", workspace)
    with dam.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id, removed_by FROM memberships").mappings()
        by = {row["id"]: row["removed_by"] for row in rows}
    assert (by[removed.id], by[left.id]) == ("ann", None)


def test_the_audit_names_ids_roles_and_flags_only(dam: World) -> None:
    dam.user("bob")
    workspace = dam.workspace("ann", "Secret Plans")
    dam.write("ann", memberships.add_by_email, place=key(workspace), email="bob@example.com", role="viewer")
    dam.update("ann", workspace, "bob", role="admin")
    text = str(dam.audited())
    assert "viewer" in text
    assert "Secret" not in text
    assert "bob@example.com" not in text
    assert "Bob" not in text
