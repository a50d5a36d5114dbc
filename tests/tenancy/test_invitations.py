"""What of invitations cannot be seen through a server: exact moments, other policies, and callers at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.bundles import copy_bundle
from tests.tenancy.world import World, policy
from wsauthz.model.errors import (
    AlreadyMember,
    InvitationExpired,
    InvitationNotFound,
    InvitationUsed,
    LimitReached,
    MembershipInactive,
    Refused,
)
from wsauthz.model.invitations import Invitation
from wsauthz.model.places import PLATFORM
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import invitations as invitation_rows
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy import acceptance, invitations
from wsauthz.tenancy.enrolment import close
from wsauthz.tenancy.imports import import_state
from wsauthz.tenancy.invitations import Sent
from wsauthz.tenancy.joining import Joined
from wsauthz.tenancy.transaction import Transaction

CALLERS = 16


@pytest.fixture
def other(dam: World, database_url: str) -> Iterator[World]:
    """Return a second process's view of the same database."""
    world = opened(database_url, policy("dam"))
    yield world
    world.database.close()
    dam.replica.catch_up()


def opened(database_url: str, bundle: CurrentPolicy) -> World:
    world = World.__new__(World)
    world.open(database_url, bundle)
    return world


def invite(world: World, by: str, workspace: Workspace, user: str, role: str = "", **values: Any) -> Sent:
    email = f"{user}@example.com"
    return world.write(by, invitations.create, workspace_id=workspace.id, email=email, role=role, **values)


def accept(world: World, actor: str, sent: Sent) -> Joined:
    return world.write(actor, acceptance.accept, token=sent.token)


def invitation(world: World, sent: Sent) -> Invitation:
    found = world.row(invitation_rows.find, sent.invitation.id)
    assert found is not None
    return found


def change(world: World, membership_id: str, **values: Any) -> None:
    """Change a membership behind the back of tenancy."""
    with world.database.write() as connection:
        membership_rows.update(connection, membership_id, values)
    world.replica.load()


def all_at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Make the calls at once and return what each of them gave; of a refusal its class."""

    def run(call: Callable[[], object]) -> object:
        try:
            return call()
        except Refused as refused:
            return type(refused)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-021")
def test_an_invitation_ends_at_its_moment_by_the_clock_of_the_database(dam: World) -> None:
    workspace = dam.workspace("ann")
    sent = invite(dam, "ann", workspace, dam.user("bob"))
    end = sent.invitation.expires_at

    def at(moment: datetime) -> Joined:
        return dam.write("bob", lambda tx: acceptance.accept(replace(tx, now=moment), token=sent.token))

    def at_and_recorded(tx: Transaction) -> str:
        earlier = replace(tx, now=end - timedelta(microseconds=1))  # shares changes and notes with the transaction
        return acceptance.accept(earlier, token=sent.token).membership.role

    with pytest.raises(InvitationExpired):
        at(end)
    with pytest.raises(InvitationExpired):
        at(end + timedelta(days=365))
    assert dam.write("bob", at_and_recorded) == "member"


@pytest.mark.req("REQ-021")
@pytest.mark.parametrize(("configured", "days"), [(30, 30), (90, 90)])
def test_the_catalog_says_how_long_up_to_ninety_days(
    database_url: str, tmp_path: Path, configured: int, days: int
) -> None:
    bundle = copy_bundle("dam", tmp_path, tests=False)
    catalog = bundle / "catalog.toml"
    catalog.write_text(catalog.read_text().replace("lifetime_days = 7", f"lifetime_days = {configured}"))
    world = World(database_url, CurrentPolicy(bundle, core_vocabulary()))
    sent = invite(world, "ann", world.workspace("ann"), "bob").invitation
    assert sent.expires_at - sent.created_at == timedelta(days=days)
    world.database.close()


@pytest.mark.req("REQ-021")
def test_a_lifetime_has_its_limits_to_the_microsecond(dam: World) -> None:
    workspace = dam.workspace("ann")

    def within(user: str, delta: timedelta) -> Callable[[Transaction], str]:
        def send(tx: Transaction) -> str:
            email = f"{user}@example.com"
            return invitations.create(
                tx, workspace_id=workspace.id, email=email, expires_at=tx.now + delta
            ).invitation.id

        return send

    tick = timedelta(microseconds=1)
    assert dam.write("ann", within("a", tick))
    assert dam.write("ann", within("b", timedelta(days=90)))
    for refused in (timedelta(0), timedelta(days=90) + tick):
        with pytest.raises(Refused, match="expires_at"):
            dam.write("ann", within("c", refused))


# --- memberships ------------------------------------------------------------------------------------------------------


def test_an_expired_membership_can_be_invited_and_is_closed_and_replaced(dam: World) -> None:
    workspace = dam.workspace("ann")
    old = dam.add("ann", workspace, dam.user("bob"), "viewer", expires_at=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(AlreadyMember):
        invite(dam, "ann", workspace, "bob")
    change(dam, old.id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    sent = invite(dam, "ann", workspace, "bob", "member", modules=("dam",))
    joined = accept(dam, "bob", sent)
    assert not joined.already_member
    assert joined.membership == dam.member(workspace, "bob")
    assert (joined.membership.role, joined.membership.modules) == ("member", ("dam",))
    assert joined.membership.expires_at is None
    assert joined.membership.id != old.id


def test_an_expired_membership_that_is_deactivated_is_not_replaced(dam: World) -> None:
    workspace = dam.workspace("ann")
    sent = invite(dam, "ann", workspace, dam.user("bob"))
    old = dam.add("ann", workspace, "bob")
    change(dam, old.id, expires_at=datetime.now(UTC) - timedelta(seconds=1), is_active=False)
    with pytest.raises(AlreadyMember):
        invite(dam, "ann", workspace, "bob")
    with pytest.raises(MembershipInactive):
        accept(dam, "bob", sent)
    assert invitation(dam, sent).accepted_at is None


def test_an_expired_member_deactivated_in_the_organization_stays_out(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    workspace = oneglanse.workspace("ann", organization_id=roof.id)
    old = oneglanse.add("ann", workspace, oneglanse.user("bob"))
    oneglanse.update("ann", roof, "bob", is_active=False)
    change(oneglanse, old.id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    sent = invite(oneglanse, "ann", workspace, "bob")
    with pytest.raises(MembershipInactive):
        accept(oneglanse, "bob", sent)


def test_a_full_workspace_takes_nobody_and_the_token_is_not_spent(narrow: World) -> None:
    workspace = narrow.workspace("ann")
    sent = invite(narrow, "ann", workspace, narrow.user("bob"))
    narrow.add("ann", workspace, "cleo")
    with pytest.raises(LimitReached):
        accept(narrow, "bob", sent)
    narrow.remove("ann", workspace, "cleo")
    assert not accept(narrow, "bob", sent).already_member


# --- what the sender could send ---------------------------------------------------------------------------------------


def test_an_invitation_of_the_platform_ends_with_the_role_there(dam: World) -> None:
    workspace = dam.workspace("ann")
    sent = invite(dam, "op", workspace, dam.user("bob"))
    held = dam.row(membership_rows.find, PLATFORM, "op")
    assert held is not None
    dam.write("", close, held)
    with pytest.raises(InvitationNotFound):
        accept(dam, "bob", sent)
    assert invitation(dam, sent).revoked_at is None
    with pytest.raises(InvitationNotFound):
        dam.read("bob", acceptance.preview, token=sent.token)


def test_an_invitation_to_a_membership_that_would_have_expired_has_expired(dam: World) -> None:
    """An import can bring the expiry forward, beyond the one of the invitation."""
    workspace = dam.workspace("ann")
    sent = invite(dam, "ann", workspace, dam.user("bob"))
    record = f"id: {sent.invitation.id}, workspace: {workspace.id}, email: bob@example.com"
    text = f"invitations: [{{{record}, membership_expires_at: 2020-01-01T00:00:00Z}}]"
    dam.write("", import_state, read_state(text, "yaml"))
    with pytest.raises(InvitationExpired):
        accept(dam, "bob", sent)


def test_a_role_that_the_policy_lost_cannot_be_accepted(dam: World, database_url: str) -> None:
    workspace = dam.workspace("ann")
    lost = invite(dam, "ann", workspace, dam.user("bob"), "viewer")
    kept = invite(dam, "ann", workspace, dam.user("cleo"), "member")
    world = opened(database_url, policy("oneglanse"))
    with pytest.raises(InvitationNotFound):
        accept(world, "bob", lost)
    assert accept(world, "cleo", kept).membership.role == "member"
    world.database.close()
    dam.replica.catch_up()


def test_a_promoted_sender_is_still_a_sender(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "cleo", "member", permissions=["can-manage-users"])
    sent = invite(dam, "cleo", workspace, dam.user("bob"))
    dam.update("ann", workspace, "cleo", role="admin", permissions=[])
    assert not accept(dam, "bob", sent).already_member


def test_revoked_with_the_right_of_its_sender_is_audited(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "cleo", "admin")
    sent = invite(dam, "cleo", workspace, "bob")
    dam.remove("ann", workspace, "cleo")
    (note,) = [entry for entry in dam.audited() if entry["target_kind"] == "invitation" and entry["actor"] == "ann"]
    assert note["target_id"] == sent.invitation.id


# --- callers at once --------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-020")
def test_of_callers_in_two_processes_one_accepts(dam: World, other: World) -> None:
    workspace = dam.workspace("ann")
    sent = invite(dam, "ann", workspace, dam.user("bob"))
    outcomes = all_at_once(
        [
            lambda world=world: accept(world, "bob", sent).already_member  # type: ignore[misc]  # a loop's values
            for world in (dam, other) * (CALLERS // 2)
        ]
    )
    assert (outcomes.count(False), outcomes.count(InvitationUsed)) == (1, CALLERS - 1)
    dam.replica.catch_up()


@pytest.mark.req("REQ-020")
def test_accepting_and_revoking_at_once_one_of_them_wins(dam: World, other: World) -> None:
    workspace = dam.workspace("ann")
    sent = invite(dam, "ann", workspace, dam.user("bob"))

    def revoke(world: World) -> object:
        def work(tx: Transaction) -> bool:
            invitations.revoke(tx, workspace_id=workspace.id, invitation_id=sent.invitation.id)
            return tx.tally.invitations["revoked"] == 1

        return world.write("ann", work)

    calls: list[Callable[[], object]] = [lambda: accept(dam, "bob", sent).already_member, lambda: revoke(other)]
    outcomes = all_at_once(calls * (CALLERS // 2))
    dam.replica.catch_up()
    now = invitation(dam, sent)
    assert (now.accepted_at is None) != (now.revoked_at is None)
    is_member = dam.member(workspace, "bob") is not None
    assert is_member == now.accepted
    wins = {"accept": outcomes[::2].count(False), "revoke": outcomes[1::2].count(True)}
    assert wins == {"accept": int(is_member), "revoke": int(not is_member)}
    assert set(outcomes) <= {False, True, InvitationUsed, InvitationNotFound}


@pytest.mark.req("REQ-022")
def test_an_address_invited_many_times_at_once_has_one_living_token(dam: World, other: World) -> None:
    workspace = dam.workspace("ann")
    sent = all_at_once(
        [
            lambda world=world: invite(world, "ann", workspace, "bob")  # type: ignore[misc]  # a loop's values
            for world in (dam, other) * (CALLERS // 2)
        ]
    )
    assert all(isinstance(each, Sent) for each in sent)
    dam.user("bob")
    outcomes = all_at_once([lambda each=each: accept(dam, "bob", each).already_member for each in sent])  # type: ignore[misc]  # a loop's values
    assert (outcomes.count(False), outcomes.count(InvitationNotFound)) == (1, CALLERS - 1)
