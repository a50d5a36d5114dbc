from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from tests.store import samples
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import Branding, WorkspaceSettings
from wsauthz.store import invitations, memberships, organizations, subscriptions, users, workspaces
from wsauthz.store import tables as t
from wsauthz.store.database import Database

FULL = samples.workspace(
    "w",
    organization_id="o",
    parent_workspace_id="p",
    name="Ünïcode \U0001f600 'quoted'; --",
    suspended_reason="line\nbreak",
    is_suspended=True,
    suspended_at=samples.NOW + timedelta(microseconds=1),
    suspended_by="auth0|5f7c",
    modules=("dam", "analytics"),
    settings=WorkspaceSettings(
        branding=Branding(logo="https://x/y.png", primary_color="#00ff00"),
        features={"child_workspaces": False, "search": True},
    ),
    enabled_providers=(),
    schedule="0 4 * * *",
    analysis_epoch=2**40,
    deleted_at=None,
)


@pytest.mark.req("REQ-041", "REQ-090", "REQ-091", "REQ-092", "REQ-093")
def test_nouns_come_back_as_they_were_stored(database: Database) -> None:
    user = samples.user("auth0|5f7c", kind=UserKind.SERVICE, email="ann@example.com", default_workspace_id="w")
    organization = samples.organization("o", is_suspended=True)
    parent = samples.workspace("p", organization_id="o", slug="other")
    membership = samples.membership(
        "m", "ann", workspace_id="w", permissions=("can-manage-users",), modules=(), expires_at=samples.NOW
    )
    invitation = samples.invitation("i", "w", modules=("dam",))
    subscription = samples.subscription("w", status=SubscriptionStatus.PAST_DUE)
    with database.write() as connection:
        users.add(connection, user)
        organizations.add(connection, organization)
        workspaces.add(connection, parent)
        workspaces.add(connection, FULL)
        memberships.add(connection, membership)
        invitations.add(connection, invitation, token_hash="ab")
        subscriptions.add(connection, subscription)
    with database.read() as connection:
        assert users.find(connection, user.id) == user
        assert organizations.find(connection, "o") == organization
        assert workspaces.find(connection, "w") == FULL
        assert workspaces.find(connection, "p") == parent
        assert memberships.find(connection, ("workspace", "w"), "ann") == membership
        assert invitations.find(connection, "i") == invitation
        assert subscriptions.find(connection, "w") == subscription
        found = subscriptions.find(connection, "w")
        assert found is not None
        assert isinstance(found.status, SubscriptionStatus)


def test_absent_modules_differ_from_none_at_all(database: Database) -> None:
    with database.write() as connection:
        memberships.add(connection, samples.membership("all", "ann"))
        memberships.add(connection, samples.membership("none", "bob", modules=()))
    with database.read() as connection:
        held = {membership.id: membership.modules for membership in memberships.every(connection)}
        in_sql = connection.execute(select(t.memberships.c.id).where(t.memberships.c.modules.is_(None))).scalars().all()
    assert held == {"all": None, "none": ()}
    assert in_sql == ["all"]


def test_times_with_any_offset_come_back_in_utc(database: Database) -> None:
    there = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as connection:
        users.add(connection, samples.user("ann", created_at=there))
    with database.read() as connection:
        found = users.find(connection, "ann")
    assert found is not None
    assert found.created_at == there
    assert found.created_at.tzinfo is UTC
    assert found.created_at.hour == 10


def test_times_are_compared_as_times_whatever_their_offset(database: Database) -> None:
    east = timezone(timedelta(hours=9))
    with database.write() as connection:
        for day in (1, 2, 3):
            at = datetime(2026, 1, day, tzinfo=UTC)
            users.add(connection, samples.user(f"u{day}", created_at=at))
    noon_of_the_first = datetime(2026, 1, 2, 8, tzinfo=east)
    later = select(t.users.c.id).where(t.users.c.created_at > noon_of_the_first).order_by(t.users.c.created_at.desc())
    with database.read() as connection:
        assert connection.execute(later).scalars().all() == ["u3", "u2"]


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without an offset"), database.write() as connection:
        users.add(connection, samples.user("ann", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - what is refused


def test_a_number_that_the_enum_lacks_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="UserKind"), database.write() as connection:
        users.add(connection, samples.user("ann", kind=99))


def test_settings_of_a_newer_program_can_be_read_and_absent_ones_have_defaults(database: Database) -> None:
    with database.write() as connection:
        workspaces.add(connection, samples.workspace("w"))
        stored = {"features": {"search": True}, "invented": {"later": 1}}
        connection.execute(t.workspaces.update().values(settings=stored))
    with database.read() as connection:
        found = workspaces.find(connection, "w")
    assert found is not None
    assert found.settings == WorkspaceSettings(features={"search": True})


def test_ids_are_compared_and_sorted_byte_by_byte(database: Database) -> None:
    ids = ["b", "B", "a", "A", "_", "-x", "a.b", "a-b", "é", "zz", "Z", "10", "9", "\U0001f600"]
    with database.write() as connection:
        for id_ in ids:
            users.add(connection, samples.user(id_))
        assert users.find(connection, "ZZ") is None
    with database.read() as connection:
        assert [user.id for user in users.every(connection)] == sorted(ids)
