"""Places that end with everything in them, many at once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pytest
from sqlalchemy import Connection, insert

from tests.store import samples
from tests.tenancy.world import World, policy
from wsauthz.model.organizations import Organization
from wsauthz.replica import writing
from wsauthz.store import invite_codes, revisions, tables
from wsauthz.store import memberships as membership_rows
from wsauthz.store import organizations as organization_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.scheduler import NoScheduler, Synced
from wsauthz.tenancy import accounts, organizations, schedules, workspace_creation, workspaces


class Recorder(NoScheduler):
    """A scheduler that remembers whose jobs it was told to remove."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def unschedule(self, connection: Connection, workspace_ids: Sequence[str]) -> Synced:
        """Remember the workspaces."""
        self.removed += workspace_ids
        return Synced.NOW


@pytest.fixture
def other(dam: World, database_url: str) -> Iterator[World]:
    """Return a second process's view of the same database."""
    world = World.__new__(World)
    world.open(database_url, policy("dam"))
    yield world
    assert world.facts_agree()
    world.database.close()


def fill(world: World, roof: Organization, places: int) -> None:
    """Give an organization many workspaces, each with a code, a member, and somebody whose default it is."""
    workspace = asdict(samples.workspace("", organization_id=roof.id, owner_user_id="owner", modules=("dam",)))
    membership, user = asdict(samples.membership("", "bob")), asdict(samples.user(""))
    code = {"is_enabled": True, "created_at": samples.NOW, "updated_at": samples.NOW}
    ids = [f"w{number}" for number in range(places)]
    with world.database.write() as connection:
        revisions.advance(connection)
        connection.execute(insert(tables.workspaces), [{**workspace, "id": each, "slug": each} for each in ids])
        connection.execute(
            insert(tables.memberships), [{**membership, "id": f"m-{each}", "workspace_id": each} for each in ids]
        )
        connection.execute(
            insert(tables.invite_codes), [{**code, "workspace_id": each, "code": f"code-{each}"} for each in ids]
        )
        connection.execute(
            insert(tables.users), [{**user, "id": f"u-{each}", "default_workspace_id": each} for each in ids]
        )
        revisions.record(connection, revisions.current(connection), [revisions.RELOAD])
    world.replica.catch_up()


def end(world: World, other: World, places: int) -> None:
    """See a large organization end, here and in another process, and what is beside it stay."""
    kept = world.workspace("ann")
    roof = world.organization("ann")
    fill(world, roof, places)
    other.replica.catch_up()
    assert len(other.replica.facts.places) == places + 3
    before = world.revision
    assert world.write("ann", organizations.delete, organization_id=roof.id) == places
    assert world.revision == before + 1
    other.replica.catch_up()
    for each in (world, other):
        assert each.facts_agree()
        assert set(each.replica.facts.places) == {("platform", ""), ("workspace", kept.id)}
    ids = [f"w{number}" for number in range(places)]
    assert world.row(organization_rows.find, roof.id) is None
    assert world.row(workspace_rows.find_many, ids) == {}
    assert world.row(membership_rows.of_user, "bob") == []
    assert world.row(invite_codes.find, ids[-1]) is None
    users = world.row(user_rows.find_many, [f"u-{each}" for each in ids])
    assert {user.default_workspace_id for user in users.values()} == {None}
    with world.database.read() as connection:
        count = "SELECT count(*) FROM audit_entries WHERE target_kind = 'workspace' AND revision = :revision"
        entries = connection.exec_driver_sql(count.replace(":revision", str(before + 1))).scalar()
    assert entries == places


def test_a_large_organization_ends_in_one_step(dam: World, other: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one statement takes, and more changes than are told one by one: that is lowered here."""
    monkeypatch.setattr(writing, "_MOST_CHANGES_TOLD", 1_000)
    end(dam, other, 1_050)


@pytest.mark.soak
def test_an_organization_of_12_000_workspaces_ends_in_one_step(dam: World, other: World) -> None:
    end(dam, other, 12_000)


def test_what_is_told_one_by_one_says_where_it_was(dam: World) -> None:
    roof = dam.organization("ann")
    parent = dam.workspace("ann", organization_id=roof.id)
    child = dam.child("ann", parent)
    alone = dam.workspace("ann")
    before = dam.revision
    dam.write("ann", organizations.delete, organization_id=roof.id)
    dam.write("ann", workspaces.delete, workspace_id=alone.id)
    told = [(each.kind, each.values) for each in dam.row(revisions.changes_after, before, 100)]
    gone = {"deleted": True}
    assert told == [
        ("workspace", {"id": parent.id, "organization_id": roof.id, "parent_workspace_id": None, **gone}),
        ("workspace", {"id": child.id, "organization_id": roof.id, "parent_workspace_id": parent.id, **gone}),
        ("organization", {"id": roof.id, "is_suspended": False, **gone}),
        ("workspace", {"id": alone.id, "organization_id": None, "parent_workspace_id": None, **gone}),
    ]


def test_a_scheduler_is_told_of_every_workspace_that_ends(oneglanse: World) -> None:
    oneglanse.replica.scheduler = recorder = Recorder()
    roof = oneglanse.organization("ann")
    root, second = (oneglanse.workspace("ann", organization_id=roof.id) for _ in range(2))
    child = oneglanse.write("op", workspace_creation.create_child, parent_workspace_id=root.id, name="Child")
    alone, kept = oneglanse.workspace("ann"), oneglanse.workspace("bob")
    for workspace in (child, second, kept):
        oneglanse.write("ann", schedules.set_schedule, workspace_id=workspace.id, schedule="0 9 * * *")
    oneglanse.write("ann", workspaces.delete, workspace_id=root.id)
    assert recorder.removed == [root.id, child.id]
    oneglanse.write("ann", organizations.delete, organization_id=roof.id)
    assert recorder.removed == [root.id, child.id, second.id]
    oneglanse.write("ann", accounts.delete, user_id="ann")
    assert recorder.removed == [root.id, child.id, second.id, alone.id]
