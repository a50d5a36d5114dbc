"""Many nouns at once: what is stored is what was given, on both databases, or nothing of it is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.store import samples
from wsauthz.model.errors import AlreadyMember, EmailTaken, IdTaken, Refused, SlugTaken
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import Branding, WorkspaceSettings
from wsauthz.store import bulk
from wsauthz.store.database import Database

ODD = "a\tb\\n\\.\n\"quoted\", 'single', {brace}, ü 漢 \U0001f600 \\N %s :x"
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

USERS = (
    samples.user("ann", email="ann@example.com", name=ODD, kind=UserKind.SERVICE),
    samples.user("auth0|5f7c", name="\\N", is_active=False),
)
ORGANIZATIONS = (samples.organization("o1", name=ODD, is_suspended=True), samples.organization("o2"))
WORKSPACES = (
    samples.workspace("w1", organization_id="o1", modules=("dam", "analytics"), notes=ODD, enabled_providers=()),
    samples.workspace(
        "w2",
        parent_workspace_id="w1",
        organization_id="o1",
        settings=WorkspaceSettings(branding=Branding(logo=ODD, primary_color="#0044FF"), features={"b": False}),
        suspended_at=LAST,
        enabled_providers=("google", "meta"),
    ),
)
MEMBERSHIPS = (
    samples.membership("m1", "ann", workspace_id="w1", permissions=("can-manage-users",), modules=()),
    samples.membership("m2", "ann", workspace_id="w2", modules=("dam",), expires_at=LAST),
    samples.membership("m3", "ann", organization_id="o1", is_active=False),
    samples.membership("m4", "ann", joined_at=datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=9)))),
)
INVITATIONS = (samples.invitation("i1", "w1", modules=("dam",)), samples.invitation("i2", "w2"))
SUBSCRIPTIONS = (samples.subscription("w1"), samples.subscription("w2", plan="basic"))
EVERYTHING: tuple[Sequence[Any], ...] = (USERS, ORGANIZATIONS, WORKSPACES, MEMBERSHIPS, INVITATIONS, SUBSCRIPTIONS)


def fill(database: Database, *piles: Sequence[Any]) -> None:
    with database.write() as connection:
        for nouns in piles:
            bulk.add(connection, nouns)


def test_nouns_of_every_kind_come_back_as_they_were_given(database: Database) -> None:
    fill(database, *EVERYTHING)
    with database.read() as connection:
        for nouns in EVERYTHING:
            key = "workspace_id" if nouns is SUBSCRIPTIONS else "id"
            found = bulk.find(connection, type(nouns[0]), [getattr(noun, key) for noun in nouns])
            assert [found[getattr(noun, key)] for noun in nouns] == list(nouns)


def test_adding_none_is_nothing(database: Database) -> None:
    with database.write() as connection:
        bulk.add(connection, [])


@pytest.mark.parametrize(
    ("noun", "refusal"),
    [
        (samples.user("ann"), IdTaken),
        (samples.user("bob", email="ann@example.com"), EmailTaken),
        (samples.organization("o3", slug="o1"), SlugTaken),
        (samples.workspace("w3", organization_id="o1", slug="w1"), SlugTaken),
        (samples.membership("m1", "bob", workspace_id="w1"), IdTaken),
        (samples.membership("m9", "ann", workspace_id="w1"), AlreadyMember),
        (samples.membership("m9", "ann", organization_id="o1"), AlreadyMember),
        (samples.membership("m9", "ann"), AlreadyMember),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_is_there_already_is_refused_and_leaves_nothing(
    database: Database, noun: Any, refusal: type[Refused]
) -> None:
    fill(database, *EVERYTHING)
    with pytest.raises(refusal):
        fill(database, [samples.user("fresh")], [noun])
    with database.read() as connection:
        assert not bulk.find(connection, type(USERS[0]), ["fresh"])


def test_a_workspace_that_is_not_there_takes_nobody(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"), database.write() as connection:
        bulk.add(connection, [samples.membership("m1", "ann", workspace_id="nowhere")])
