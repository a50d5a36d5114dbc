from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.tenancy.test_pending_invitations import invite, is_pending
from tests.tenancy.world import World, policy
from wsauthz.model.errors import Denied, LimitReached, Refused
from wsauthz.model.memberships import Membership
from wsauthz.model.workspaces import Workspace
from wsauthz.store import memberships as membership_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import ownership


@pytest.fixture
def default(database_url: str) -> Iterator[World]:
    """Return a world in which a former owner ranks below an owner."""
    world = World(database_url, policy("default"))
    yield world
    assert world.facts_agree()
    world.database.close()


def transfer(world: World, actor: str, workspace: Workspace, user: str) -> tuple[Workspace, Membership]:
    return world.write(actor, ownership.transfer, workspace_id=workspace.id, user_id=user)


def candidates(world: World, actor: str, workspace: Workspace, *, query: str = "") -> list[str]:
    found, more = world.read(
        actor, ownership.list_candidates, workspace_id=workspace.id, query=query, after="", limit=100
    )
    assert not more
    return [each.membership.user_id for each in found]


@pytest.mark.req("REQ-079")
def test_whoever_owns_as_many_as_it_may_is_no_candidate(narrow: World) -> None:
    workspace = narrow.workspace("ann")
    narrow.add("ann", workspace, "bob", "viewer")
    owned = [narrow.workspace("bob") for _ in range(3)]
    assert candidates(narrow, "ann", workspace) == []
    before = narrow.revision
    with pytest.raises(LimitReached) as refused:
        transfer(narrow, "ann", workspace, "bob")
    assert "workspaces_per_owner" in str(refused.value)
    assert narrow.revision == before
    narrow.enrol(owned[0], "cid", "viewer")
    transfer(narrow, "bob", owned[0], "cid")
    assert candidates(narrow, "ann", workspace) == ["bob"]
    assert transfer(narrow, "ann", workspace, "bob")[0].owner_user_id == "bob"
    assert narrow.owner(workspace) == "bob"


def test_the_creator_role_and_what_is_left_to_the_former_owner(default: World) -> None:
    workspace = default.workspace("ann")
    default.add("ann", workspace, "bob", "viewer", modules=["dam"])
    passed, membership = transfer(default, "ann", workspace, "bob")
    assert (passed.owner_user_id, membership.role, membership.modules) == ("bob", "owner", None)
    assert passed.updated_at > workspace.updated_at
    former = default.member(workspace, "ann")
    assert former is not None
    assert former.role == "admin"
    assert default.member(workspace, "bob") == membership
    assert default.may("bob", workspace, "workspace", "delete")
    assert not default.may("ann", workspace, "workspace", "delete")


def test_a_former_owner_loses_invitations_that_it_could_no_longer_send(default: World) -> None:
    parent = default.workspace("ann")
    child = default.child("ann", parent)
    default.add("ann", parent, "bob", "viewer")
    above, within = invite(default, "ann", parent, "owner"), invite(default, "ann", parent, "viewer")
    below, others = invite(default, "ann", child, "owner"), invite(default, "bob", parent, "viewer")
    transfer(default, "ann", parent, "bob")
    pending = [is_pending(default, each) for each in (above, within, below, others)]
    assert pending == [False, True, True, True]  # ann still owns the child


def test_equals_of_the_owner_pass_nothing_on(default: World) -> None:
    workspace = default.workspace("ann")
    default.add("ann", workspace, "bob", "owner")
    for refuses in (lambda: transfer(default, "bob", workspace, "bob"), lambda: candidates(default, "bob", workspace)):
        with pytest.raises(Denied) as refused:
            refuses()
        assert (refused.value.reason, str(refused.value)) == ("ROLE_INSUFFICIENT", "Permission denied")


def test_a_membership_that_expires_meanwhile_is_none_of_a_candidate(dam: World) -> None:
    workspace = dam.workspace("ann")
    soon = dam.add("ann", workspace, "bob", "viewer")
    with dam.database.write() as connection:
        membership_rows.update(connection, soon.id, {"expires_at": soon.joined_at + timedelta(microseconds=1)})
    dam.replica.load()
    assert candidates(dam, "ann", workspace) == []


def test_in_the_database_ownership_passes_from_its_present_owner_only(dam: World) -> None:
    workspace = dam.workspace("ann")
    with dam.database.write() as connection:
        for workspace_id, owner in ((workspace.id, "bob"), ("unknown", "ann")):
            assert not workspace_rows.pass_on(connection, workspace_id, owner=owner, to="eve", now=workspace.created_at)
    assert dam.owner(workspace) == "ann"


@pytest.mark.req("REQ-079")
def test_of_many_transfers_by_two_processes_one_is_made(dam: World, database_url: str) -> None:
    other = World.__new__(World)
    other.open(database_url, policy("dam"))
    workspace = dam.workspace("ann")
    heirs = [f"user{number}" for number in range(8)]
    for heir in heirs:
        dam.add("ann", workspace, heir, "viewer")

    def pass_on(number: int) -> str:
        try:
            transfer([dam, other][number % 2], "ann", workspace, heirs[number])
        except Refused as refused:
            return refused.reason
        return ""

    with ThreadPoolExecutor(len(heirs)) as pool:
        outcomes = list(pool.map(pass_on, range(len(heirs))))
    assert sorted(outcomes) == ["", *["ROLE_INSUFFICIENT"] * 7]
    winner = heirs[outcomes.index("")]
    for world in (dam, other):
        world.replica.catch_up()
        assert world.owner(workspace) == winner
    assert [user for user in ("ann", *heirs) if dam.may(user, workspace, "workspace", "delete")] == [winner]
    other.database.close()
