from datetime import timedelta
from typing import Any

import pytest

from tests.store import samples
from wsauthz.model.places import PLATFORM, State
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.policy.facts import Facts
from wsauthz.store import changes, organizations, snapshot, subscriptions, users, workspaces
from wsauthz.store import tables as t
from wsauthz.store.database import Database

NO_CHILDREN = WorkspaceSettings(features={"child_workspaces": False})
# Ids sort against the tree, so that only the order of depth lets a child find its parent.
ORGANIZATIONS = [
    samples.organization("o", is_suspended=True),
    samples.organization("gone", deleted_at=samples.NOW),
]
WORKSPACES = [
    samples.workspace("z", organization_id="o", modules=("dam", "analytics"), settings=NO_CHILDREN),
    samples.workspace("y", organization_id="o", parent_workspace_id="z", modules=("dam",), is_suspended=True),
    samples.workspace("x", organization_id="o", parent_workspace_id="y", owner_user_id="bob", is_active=False),
    samples.workspace("alone", modules=("dam",)),
    samples.workspace("deleted", deleted_at=samples.NOW),
    samples.workspace("below-deleted", parent_workspace_id="deleted"),
    samples.workspace("of-gone", organization_id="gone"),
]
USERS = [samples.user("ann"), samples.user("bob", is_active=False)]
SUBSCRIPTIONS = [
    samples.subscription("z", status=SubscriptionStatus.CANCELLED),
    samples.subscription("deleted"),
]
MEMBERSHIPS = [
    samples.membership("m1", "ann"),
    samples.membership("m2", "ann", organization_id="o", role="owner"),
    samples.membership("m3", "ann", workspace_id="z", permissions=("can-manage-users",), modules=("dam",)),
    samples.membership("m4", "ann", workspace_id="y", modules=(), is_active=False),
    samples.membership("m5", "stranger", workspace_id="x", expires_at=samples.NOW + timedelta(microseconds=3)),
    samples.membership("m6", "bob", workspace_id="x", deleted_at=samples.NOW),
    samples.membership("m7", "bob", workspace_id="below-deleted"),
    samples.membership("m8", "bob", workspace_id="of-gone"),
    samples.membership("m9", "bob", organization_id="gone"),
]


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as connection:
        for organization in ORGANIZATIONS:
            organizations.add(connection, organization)
        for workspace in WORKSPACES:
            workspaces.add(connection, workspace)
        for user in USERS:
            users.add(connection, user)
        for subscription in SUBSCRIPTIONS:
            subscriptions.add(connection, subscription)
        samples.add_many(connection, t.memberships, MEMBERSHIPS)
    return database


def load(database: Database) -> list[tuple[str, Any]]:
    with database.read() as connection:
        return [(kind, dict(values)) for kind, values in snapshot.load(connection)]


def test_a_snapshot_feeds_facts(filled: Database) -> None:
    facts = Facts()
    for kind, values in load(filled):
        facts.apply(kind, values)
    assert set(facts.places) == {
        PLATFORM,
        ("organization", "o"),
        *(("workspace", id_) for id_ in ("z", "y", "x", "alone")),
    }
    assert dict(facts.users) == {"ann": True, "bob": False}
    x = facts.places["workspace", "x"]
    assert [place.key[1] for place in x.chain] == ["x", "y", "z", "o", ""]
    assert x.state == State.INACTIVE
    assert x.subscription == ("professional", SubscriptionStatus.CANCELLED)
    assert x.members == ["stranger"]
    assert facts.places["workspace", "z"].child_workspaces is False
    assert facts.places["workspace", "y"].child_workspaces is None
    assert facts.places["workspace", "alone"].modules == frozenset({"dam"})
    assert {place.key for place in facts.owned["bob"]} == {("workspace", "x")}
    assert set(facts.grants["ann"]) == {facts.places[each.place] for each in MEMBERSHIPS[:4]}
    assert set(facts.grants) == {"ann", "stranger"}
    assert facts.grants["stranger"][x].expires_at == (samples.NOW + timedelta(microseconds=3)).timestamp()


def test_a_snapshot_says_the_same_as_the_changes_that_led_to_it(filled: Database) -> None:
    live = [
        changes.organization(ORGANIZATIONS[0]),
        *(changes.workspace(workspace) for workspace in WORKSPACES[:4]),
        changes.subscription(SUBSCRIPTIONS[0]),
        *(changes.user(user) for user in USERS),
        *(changes.membership(membership) for membership in MEMBERSHIPS[:5]),
    ]
    loaded = load(filled)
    assert len(loaded) == len(live)
    assert all(fact in loaded for fact in live)


def test_rows_are_streamed_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_BATCH", 3)
    with database.write() as connection:
        samples.add_many(connection, t.users, [samples.user(f"u{number:03}") for number in range(20)])
    with database.read() as connection:
        facts = snapshot.load(connection)
        assert next(facts)[0] == "user"
        assert len(list(facts)) == 19


def test_an_abandoned_snapshot_leaves_the_connection_usable(filled: Database) -> None:
    abandoned = []
    for _ in range(20):
        with filled.read() as connection:
            next(iter(snapshot.load(connection)))
            abandoned.append(snapshot.load(connection))
            next(abandoned[-1])
    del abandoned
    assert load(filled)
