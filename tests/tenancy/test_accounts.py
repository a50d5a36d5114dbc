"""What becomes of what an account has, in the corners; the rest is seen through the API."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rpc.bundles import copy_bundle
from tests.tenancy.world import World, key
from wsauthz.model.errors import Denied, RoleCeiling
from wsauthz.model.places import PLATFORM
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import memberships as membership_rows
from wsauthz.store import users as user_rows
from wsauthz.tenancy import accounts
from wsauthz.tenancy.accounts import DeletedAccount
from wsauthz.tenancy.enrolment import enrol

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(database_url: str, tmp_path: Path) -> Iterator[MakeWorld]:
    """Return what makes a world of a shipped bundle whose files were changed."""
    worlds: list[World] = []

    def make(name: str, *, old: str = "", new: str = "", more: str = "", rows: list[str] | None = None) -> World:
        bundle = copy_bundle(name, tmp_path, rows=rows, tests=False)
        text = (bundle / "catalog.toml").read_text()
        assert old in text
        (bundle / "catalog.toml").write_text(text.replace(old, new) + more)
        worlds.append(World(database_url, CurrentPolicy(bundle, core_vocabulary())))
        return worlds[-1]

    yield make
    for world in worlds:
        assert world.facts_agree()
        world.database.close()


def delete(world: World, user: str, *, by: str = "") -> DeletedAccount:
    return world.write(by or user, accounts.delete, user_id=user)


def went(*, organizations: int = 0, workspaces: int = 0, transferred: int = 0) -> DeletedAccount:
    counts = {"deleted_organizations": organizations, "deleted_workspaces": workspaces}
    return DeletedAccount(deleted=True, transferred_workspaces=transferred, **counts)


def test_an_heir_does_not_save_what_lies_below_something_that_goes(oneglanse: World) -> None:
    parent = oneglanse.workspace("ann")
    child = oneglanse.child("ann", parent)
    oneglanse.enrol(child, "bob", "owner")
    assert delete(oneglanse, "ann") == went(workspaces=2)
    assert oneglanse.replica.facts.owned == {}


def test_an_heir_keeps_what_lies_below_something_that_passes_on(oneglanse: World) -> None:
    parent = oneglanse.workspace("ann")
    child, lost = oneglanse.child("ann", parent), oneglanse.child("ann", parent)
    oneglanse.enrol(parent, "bob", "owner")
    oneglanse.enrol(child, "cid", "owner")
    assert delete(oneglanse, "ann") == went(workspaces=1, transferred=2)
    assert [oneglanse.owner(parent), oneglanse.owner(child)] == ["bob", "cid"]
    assert key(lost) not in oneglanse.replica.facts.places


def test_an_heir_gets_its_place_however_full_and_however_much_it_owns(make_world: MakeWorld) -> None:
    limits = "\n[limits]\nworkspaces_per_owner = 1\nmembers_per_place = 2\n"
    world = make_world("oneglanse", more=limits)
    roof = world.organization("ann")
    world.add("ann", roof, "bob")
    workspace = world.workspace("bob", organization_id=roof.id)
    world.workspace("ann")
    world.enrol(workspace, "cid", "member")
    assert delete(world, "bob") == went(transferred=1)
    assert world.owner(workspace) == "ann"
    found = world.member(workspace, "ann")
    assert found is not None
    assert found.role == "owner"


def test_an_heir_whose_membership_lapsed_gets_one_without_limits(make_world: MakeWorld) -> None:
    world = make_world("dam", old='on_account_deletion = "delete"', new='on_account_deletion = "transfer"')
    roof = world.organization("ann")
    world.add("ann", roof, "bob")
    workspace = world.workspace("bob", organization_id=roof.id)
    lapsed = world.enrol(workspace, "ann", "viewer", modules=("dam",))
    with world.database.write() as connection:
        membership_rows.update(connection, lapsed.id, {"expires_at": lapsed.joined_at, "is_active": False})
    world.replica.load()
    assert delete(world, "bob") == went(transferred=1)
    found = world.member(workspace, "ann")
    assert found is not None
    assert (found.id, found.role, found.modules, found.is_active) == (lapsed.id, "admin", None, True)
    assert found.expires_at is None
    assert world.may("ann", workspace, "workspace", "delete")


def test_an_owner_whose_own_membership_is_off_takes_no_organization_along(dam: World) -> None:
    roof, other = dam.organization("ann"), dam.organization("ann")
    for place in (roof, other):
        dam.enrol(place, "bob", "organization-owner", expires_at=roof.created_at)
    own = dam.member(other, "ann")
    assert own is not None
    with dam.database.write() as connection:
        membership_rows.update(connection, own.id, {"role": "member"})
    dam.replica.load()
    assert delete(dam, "bob") == went()
    assert key(other) in dam.replica.facts.places
    assert delete(dam, "ann") == went(organizations=1)
    assert dam.replica.facts.grants.keys() == {"op"}


def test_ownership_without_a_membership_ends_too(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.remove("op", workspace, "ann")
    assert dam.owner(workspace) == "ann"
    assert delete(dam, "ann", by="op") == went(workspaces=1)


def test_nobody_deletes_the_account_of_somebody_above_at_the_platform(make_world: MakeWorld) -> None:
    role = '\n[roles.support]\nrank = 50\ntitle = "Support"\nplaces = ["platform"]\n'
    world = make_world("dam", more=role, rows=["p, role:support, platform, user/*, delete, any, allow"])
    for user, given in (("sam", "support"), ("sue", "support")):
        world.write("op", enrol, PLATFORM, user, role=given)
    world.user("ann")
    before = world.revision
    with pytest.raises(RoleCeiling):
        delete(world, "op", by="sam")
    assert world.revision == before
    for user in ("sue", "ann"):
        assert delete(world, user, by="sam") == went()
    with pytest.raises(Denied):
        delete(world, "sam", by="ann")
    assert delete(world, "sam", by="op") == went()


def test_the_audit_says_what_went_and_nothing_of_what_was_written_there(dam: World) -> None:
    dam.user("ann")
    roof = dam.organization("ann", "Secret Roof")
    workspace = dam.workspace("ann", "Secret Name", organization_id=roof.id)
    assert delete(dam, "ann") == went(organizations=1, workspaces=1)
    assert dam.row(user_rows.find, "ann") is None
    entries = [each for each in dam.audited() if each["method"] == "delete"]
    assert [(each["target_kind"], each["target_id"], each["actor"]) for each in entries] == [
        ("workspace", workspace.id, "ann"),
        ("organization", roof.id, "ann"),
        ("user", "ann", "ann"),
    ]
    assert len({each["revision"] for each in entries}) == 1
    assert "ecret" not in str(entries)
    assert "example.com" not in str(entries)
