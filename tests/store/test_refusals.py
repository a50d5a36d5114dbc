"""Constraints become the errors that they are named after, on both databases."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.store import samples
from wsauthz.model.errors import AlreadyMember, EmailTaken, IdTaken, SlugTaken
from wsauthz.store import (
    invitations,
    invite_codes,
    memberships,
    organizations,
    request_ids,
    subscriptions,
    users,
    workspaces,
)
from wsauthz.store import tables as t
from wsauthz.store.database import Database
from wsauthz.store.request_ids import GivenAnswer, RequestKey


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as connection:
        users.add(connection, samples.user("ann", email="ann@example.com"))
        users.add(connection, samples.user("bob"))
        users.add(connection, samples.user("cleo"))
        for id_ in ("o1", "o2"):
            organizations.add(connection, samples.organization(id_))
        workspaces.add(connection, samples.workspace("w", organization_id="o1", slug="team"))
        workspaces.add(connection, samples.workspace("alone", slug="team"))
        memberships.add(connection, samples.membership("m1", "ann", workspace_id="w"))
        memberships.add(connection, samples.membership("m2", "ann", organization_id="o1"))
        memberships.add(connection, samples.membership("m3", "ann"))
        invitations.add(connection, samples.invitation("i", "w"), token_hash="ab")
        subscriptions.add(connection, samples.subscription("w"))
        invite_codes.put(connection, "w", "CODE", is_enabled=True, now=samples.NOW)
    return database


def test_an_email_belongs_to_one_user(filled: Database) -> None:
    with pytest.raises(EmailTaken), filled.write() as connection:
        users.add(connection, samples.user("dave", email="ann@example.com"))
    with pytest.raises(EmailTaken), filled.write() as connection:
        users.update(connection, "bob", {"email": "ann@example.com"})


def test_many_users_may_have_no_email(filled: Database) -> None:
    with filled.read() as connection:
        assert [user.email for user in users.every(connection)] == ["ann@example.com", None, None]


def test_a_slug_is_unique_among_live_organizations(filled: Database) -> None:
    with pytest.raises(SlugTaken, match="'o1'"), filled.write() as connection:
        organizations.add(connection, samples.organization("o3", slug="o1"))
    with pytest.raises(SlugTaken, match="'o1'"), filled.write() as connection:
        organizations.update(connection, "o2", {"slug": "o1"})
    with filled.write() as connection:
        organizations.update(connection, "o1", {"deleted_at": samples.NOW})
        organizations.update(connection, "o2", {"slug": "o1"})


def test_a_slug_is_unique_among_live_workspaces_of_one_organization(filled: Database) -> None:
    with pytest.raises(SlugTaken, match="'team'"), filled.write() as connection:
        workspaces.add(connection, samples.workspace("w2", organization_id="o1", slug="team"))
    with filled.write() as connection:
        workspaces.add(connection, samples.workspace("w2", organization_id="o2", slug="team"))
        workspaces.delete(connection, ["w"], now=samples.NOW)
        workspaces.add(connection, samples.workspace("w3", organization_id="o1", slug="team"))


def test_stand_alone_workspaces_may_share_a_slug(filled: Database) -> None:
    with filled.write() as connection:
        workspaces.add(connection, samples.workspace("alone-too", slug="team"))


@pytest.mark.req("REQ-049", "REQ-024")
@pytest.mark.parametrize("place", [{"workspace_id": "w"}, {"organization_id": "o1"}, {}])
def test_a_user_has_one_live_membership_in_a_place(filled: Database, place: dict[str, str]) -> None:
    with pytest.raises(AlreadyMember), filled.write() as connection:
        memberships.add(connection, samples.membership("again", "ann", **place))
    with filled.write() as connection:
        memberships.add(connection, samples.membership("other", "bob", **place))


@pytest.mark.req("REQ-050")
def test_a_removed_member_can_be_added_again(filled: Database) -> None:
    with filled.write() as connection:
        memberships.remove(connection, ["m1"], now=samples.NOW)
        assert memberships.find(connection, ("workspace", "w"), "ann") is None
        memberships.add(connection, samples.membership("again", "ann", workspace_id="w"))


def test_deactivated_memberships_count_as_live(filled: Database) -> None:
    with filled.write() as connection:
        memberships.update(connection, "m1", {"is_active": False})
    with pytest.raises(AlreadyMember), filled.write() as connection:
        memberships.add(connection, samples.membership("again", "ann", workspace_id="w"))


def test_a_membership_is_in_one_place(filled: Database) -> None:
    with pytest.raises(IntegrityError, match="membership_in_one_place"), filled.write() as connection:
        memberships.add(connection, samples.membership("both", "bob", workspace_id="w", organization_id="o1"))


def test_an_id_is_used_once_even_after_deletion(filled: Database) -> None:
    with filled.write() as connection:
        workspaces.delete(connection, ["w"], now=samples.NOW)
        memberships.remove(connection, ["m1"], now=samples.NOW)
    with pytest.raises(IdTaken, match="workspace id 'w'"), filled.write() as connection:
        workspaces.add(connection, samples.workspace("w", slug="new"))
    with pytest.raises(IdTaken, match="organization id 'o1'"), filled.write() as connection:
        organizations.add(connection, samples.organization("o1", slug="new"))
    with pytest.raises(IdTaken, match="user id 'ann'"), filled.write() as connection:
        users.add(connection, samples.user("ann"))
    with pytest.raises(IdTaken, match="membership id 'm1'"), filled.write() as connection:
        memberships.add(connection, samples.membership("m1", "bob"))
    with pytest.raises(IdTaken, match="invitation id 'i'"), filled.write() as connection:
        invitations.add(connection, samples.invitation("i", "w"), token_hash="cd")


@pytest.mark.req("REQ-007", "REQ-019")
def test_codes_and_tokens_are_unique(filled: Database) -> None:
    with pytest.raises(IntegrityError), filled.write() as connection:
        invite_codes.put(connection, "alone", "CODE", is_enabled=True, now=samples.NOW)
    with pytest.raises(IntegrityError), filled.write() as connection:
        invitations.add(connection, samples.invitation("i2", "w"), token_hash="ab")


def test_a_workspace_has_one_subscription(filled: Database) -> None:
    with pytest.raises(IdTaken), filled.write() as connection:
        subscriptions.add(connection, samples.subscription("w"))


def test_nothing_hangs_on_a_place_that_never_was(filled: Database) -> None:
    for noun in (samples.membership("x", "bob", workspace_id="?"), samples.membership("x", "bob", organization_id="?")):
        with pytest.raises(IntegrityError), filled.write() as connection:
            memberships.add(connection, noun)
    with pytest.raises(IntegrityError), filled.write() as connection:
        workspaces.add(connection, samples.workspace("child", parent_workspace_id="?"))


@pytest.mark.req("REQ-039")
def test_purging_a_workspace_takes_its_members_invitations_and_children_along(filled: Database) -> None:
    with filled.write() as connection:
        workspaces.add(connection, samples.workspace("child", organization_id="o1", parent_workspace_id="w"))
        memberships.add(connection, samples.membership("m4", "bob", workspace_id="child"))
        connection.execute(t.workspaces.delete().where(t.workspaces.c.id == "w"))
    with filled.read() as connection:
        assert [workspace.id for workspace in workspaces.every(connection)] == ["alone"]
        assert [membership.id for membership in memberships.every(connection)] == ["m2", "m3"]
        for table in (t.invitations, t.invitation_tokens, t.subscriptions, t.invite_codes):
            assert connection.execute(table.select()).all() == []


def test_a_refusal_in_a_savepoint_leaves_the_transaction_usable(filled: Database) -> None:
    with filled.write() as connection:
        for wanted in ("team", "team-2"):
            try:
                with connection.begin_nested():
                    workspaces.add(connection, samples.workspace("w2", organization_id="o1", slug=wanted))
            except SlugTaken:
                continue
    with filled.read() as connection:
        found = workspaces.find(connection, "w2")
    assert found is not None
    assert found.slug == "team-2"


def test_an_answer_is_stored_once_for_a_request(filled: Database) -> None:
    key = RequestKey(caller="app", actor="ann", method="M", request_id="r1")
    answer = GivenAnswer(body_hash="h", answer=b"\x00\xff")
    with filled.write() as connection:
        request_ids.add(connection, key, answer, now=samples.NOW)
    with pytest.raises(IdTaken), filled.write() as connection:
        request_ids.add(connection, key, answer, now=samples.NOW)
    with filled.write() as connection:
        request_ids.add(connection, replace(key, actor="bob"), answer, now=samples.NOW)


def test_errors_do_not_show_what_was_stored(filled: Database) -> None:
    with pytest.raises(DBAPIError) as caught, filled.write() as connection:
        memberships.add(connection, samples.membership("both", "canary", workspace_id="w", organization_id="o1"))
    # PostgreSQL adds the failing row to its own message; what a caller sees is made from our errors only.
    assert "[SQL parameters hidden" in str(caught.value)
