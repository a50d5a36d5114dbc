"""A membership of an organization says what those of its workspaces say, whatever the way in."""

from datetime import timedelta
from typing import Any

import pytest

from tests.tenancy.world import World
from wsauthz.model.errors import MembershipExpired
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.state_file import read_state
from wsauthz.store import invite_codes
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy import invitations, joining, memberships, ownership, workspaces
from wsauthz.tenancy.acceptance import accept
from wsauthz.tenancy.imports import import_state

DAY = timedelta(days=1)


@pytest.fixture
def acme(dam: World) -> Organization:
    """Return an organization of ann's."""
    for user in ("ann", "bob", "cleo"):
        dam.user(user)
    return dam.organization("ann")


@pytest.fixture
def studio(dam: World, acme: Organization) -> Workspace:
    """Return a workspace of the organization."""
    return dam.workspace("ann", organization_id=acme.id)


def row(world: World, place: Workspace | Organization, user: str) -> Membership:
    found = world.member(place, user)
    assert found is not None
    return found


def terms(world: World, place: Workspace | Organization, user: str) -> tuple[Any, ...]:
    found = row(world, place, user)
    return found.modules, found.expires_at, found.is_derived


def lapse(world: World, *expired: Membership) -> None:
    """Let memberships be over."""
    with world.database.write() as connection:
        for each in expired:
            membership_rows.update(connection, each.id, {"expires_at": each.joined_at})
    world.replica.load()


def imported(world: World, text: str) -> tuple[Membership, ...]:
    return world.write("", import_state, read_state(text, "yaml"), allow_unknown_users=True).brought


def test_who_is_added_for_a_day_or_for_a_module_is_in_the_organization_for_that(
    dam: World, acme: Organization, studio: Workspace
) -> None:
    tomorrow = acme.created_at + DAY
    dam.add("ann", studio, "bob", "viewer", expires_at=tomorrow, modules=("dam",))
    found = row(dam, acme, "bob")
    assert (found.role, found.permissions, found.is_active) == ("member", (), True)
    assert terms(dam, acme, "bob") == (("dam",), tomorrow, True)


def test_an_invitation_for_a_module_brings_the_organization_for_that(
    dam: World, acme: Organization, studio: Workspace
) -> None:
    asked = {"workspace_id": studio.id, "email": "bob@example.com", "role": "viewer", "modules": ("dam",)}
    sent = dam.write("ann", invitations.create, **asked)
    dam.write("bob", accept, token=sent.token)
    assert terms(dam, acme, "bob") == (("dam",), None, True)


def test_several_memberships_bring_the_union_of_their_modules_and_the_latest_expiry(
    dam: World, acme: Organization, studio: Workspace
) -> None:
    now = acme.created_at
    child = dam.child("ann", studio)
    dam.add("ann", studio, "bob", "viewer", expires_at=now + DAY, modules=("dam",))
    dam.add("ann", child, "bob", "viewer", expires_at=now + 2 * DAY, modules=("collaboration", "analytics"))
    assert terms(dam, acme, "bob") == (("analytics", "collaboration", "dam"), now + 2 * DAY, True)
    dam.update("ann", child, "bob", expires_at=None)
    assert terms(dam, acme, "bob") == (("analytics", "collaboration", "dam"), None, True)
    dam.update("ann", studio, "bob", modules=None)
    assert terms(dam, acme, "bob") == (None, None, True)
    dam.remove("ann", child, "bob")
    assert terms(dam, acme, "bob") == (None, now + DAY, True)
    dam.remove("ann", studio, "bob")
    assert terms(dam, acme, "bob") == (None, now + DAY, True), "when nothing is left the last terms stay"


def test_deleting_a_workspace_leaves_what_the_others_bring(dam: World, acme: Organization, studio: Workspace) -> None:
    other = dam.workspace("ann", "Other", organization_id=acme.id)
    below = dam.child("ann", other)
    dam.add("ann", studio, "bob", "viewer", modules=("dam",))
    dam.add("ann", below, "bob", "viewer")
    dam.add("ann", other, "cleo", "viewer")
    assert terms(dam, acme, "bob") == (None, None, True)
    dam.write("ann", workspaces.delete, workspace_id=other.id)
    assert terms(dam, acme, "bob") == (("dam",), None, True)
    assert terms(dam, acme, "cleo") == (None, None, True)


@pytest.mark.parametrize("field", ["expires_at", "modules", "permissions"])
def test_what_an_administrator_of_the_organization_set_stays(
    dam: World, acme: Organization, studio: Workspace, field: str
) -> None:
    values = {
        "expires_at": acme.created_at + DAY,
        "modules": ("analytics",),
        "permissions": ("can-manage-users",),
    }
    dam.add("ann", studio, "bob", "viewer", modules=("dam",))
    dam.update("ann", acme, "bob", **{field: values[field]})
    before = row(dam, acme, "bob")
    dam.update("ann", studio, "bob", modules=None)
    assert row(dam, acme, "bob") == before
    assert not before.is_derived


def test_a_deactivated_membership_brings_nothing_until_it_is_active_again(
    dam: World, acme: Organization, studio: Workspace
) -> None:
    imported(dam, f"memberships: [{{workspace: {studio.id}, user: bob, role: viewer, is_active: false}}]")
    assert dam.member(acme, "bob") is None
    dam.write("ann", memberships.add_by_email, place=("workspace", studio.id), email="bob@example.com")
    assert dam.member(acme, "bob") is None
    dam.update("ann", studio, "bob", role="member")
    assert dam.member(acme, "bob") is None
    dam.update("ann", studio, "bob", is_active=True, modules=("dam",))
    assert terms(dam, acme, "bob") == (("dam",), None, True)


def test_what_has_expired_comes_back_when_somebody_adds_again_and_not_by_a_code(
    dam: World, acme: Organization, studio: Workspace
) -> None:
    other = dam.workspace("ann", "Other", organization_id=acme.id)
    dam.add("ann", studio, "bob", "viewer", expires_at=acme.created_at + DAY)
    lapse(dam, row(dam, studio, "bob"), row(dam, acme, "bob"))
    code = dam.row(invite_codes.find, other.id)
    assert code is not None
    with pytest.raises(MembershipExpired):
        dam.write("bob", lambda tx: joining.enter(tx, joining.follow(tx, code=code[0])))
    dam.add("ann", studio, "bob", "viewer")
    assert terms(dam, acme, "bob") == (None, None, True)


def test_a_new_owner_is_in_the_organization_without_limits(dam: World, acme: Organization, studio: Workspace) -> None:
    dam.add("ann", studio, "bob", "viewer", modules=("dam",))
    dam.write("ann", ownership.transfer, workspace_id=studio.id, user_id="bob")
    assert terms(dam, acme, "bob") == (None, None, True)


def test_rows_from_before_the_rule_count_as_set(dam: World, acme: Organization, studio: Workspace) -> None:
    added = dam.add("ann", acme, "bob")
    assert not added.is_derived
    dam.add("ann", studio, "bob", "viewer", expires_at=acme.created_at + DAY)
    assert terms(dam, acme, "bob") == (None, None, False)


def test_an_import_brings_what_counts_and_tells_of_it(dam: World, acme: Organization, studio: Workspace) -> None:
    brought = imported(
        dam,
        f"""
memberships:
  - {{workspace: {studio.id}, user: off, role: viewer, is_active: false}}
  - {{workspace: {studio.id}, user: past, role: viewer, expires_at: 2020-01-01T00:00:00Z}}
  - {{workspace: {studio.id}, user: few, role: viewer, modules: [dam], expires_at: 2099-01-01T00:00:00Z}}
""",
    )
    assert [(each.user_id, each.organization_id, each.role) for each in brought] == [("few", acme.id, "member")]
    assert [dam.member(acme, user) for user in ("off", "past")] == [None, None]
    few = row(dam, acme, "few")
    assert few.is_derived
    assert few.terms == row(dam, studio, "few").terms
    (changed,) = imported(dam, f"memberships: [{{workspace: {studio.id}, user: few, role: viewer, expires_at: null}}]")
    assert changed == row(dam, acme, "few")
    assert changed.terms == (("dam",), None)


def test_a_membership_that_a_file_lists_is_as_the_file_says(dam: World, acme: Organization, studio: Workspace) -> None:
    dam.add("ann", studio, "bob", "viewer")
    assert terms(dam, acme, "bob") == (None, None, True)
    text = f"""
memberships:
  - {{organization: {acme.id}, user: bob, role: member, modules: [dam]}}
  - {{workspace: {studio.id}, user: bob, role: viewer, modules: [analytics]}}
"""
    assert imported(dam, text) == ()
    assert terms(dam, acme, "bob") == (("dam",), None, False)
