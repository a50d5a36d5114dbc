from typing import Any

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import Denied, InvalidArgument, WorkspaceNotFound
from wsauthz.model.places import State
from wsauthz.model.workspaces import Branding, Workspace
from wsauthz.store import invite_codes
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import organizations, workspace_lists, workspace_states, workspaces
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.workspaces import BRANDING, FEATURES, View


def update(world: World, actor: str, workspace: Workspace, **values: Any) -> tuple[Workspace, bool]:
    return world.write(actor, workspaces.update, workspace_id=workspace.id, values=values)


def get(world: World, actor: str, workspace: Workspace) -> View:
    return world.read(actor, workspaces.get, workspace_id=workspace.id)


@pytest.mark.req("REQ-005", "REQ-006", "REQ-011", "REQ-013", "REQ-080")
def test_an_update_changes_what_it_names(dam: World) -> None:
    workspace = dam.workspace("ann", description="old", phone="123")
    texts = {"description": "line\nline", "social_github": "https://github.com/acme", "notes": " n ", "phone": ""}
    changed, is_stale = update(dam, "ann", workspace, **texts)
    assert not is_stale
    assert (changed.description, changed.social_github, changed.notes) == (*list(texts.values())[:2], "n")
    assert (changed.name, changed.phone) == ("Studio", "")
    assert changed.updated_at > workspace.updated_at
    assert get(dam, "ann", workspace).workspace == changed


def test_an_update_that_changes_nothing_makes_no_revision(dam: World) -> None:
    workspace = dam.workspace("ann")
    before = dam.revision
    assert update(dam, "ann", workspace, name="  Studio ", notes="", **{FEATURES: {}}) == (workspace, False)
    assert dam.revision == before


@pytest.mark.req("REQ-059")
def test_analyses_are_stale_only_when_name_or_domain_really_changed(dam: World) -> None:
    workspace = dam.workspace("ann")
    edits: list[tuple[dict[str, str], bool]] = [
        ({"name": "Studio"}, False),
        ({"name": " Studio\t"}, False),
        ({"domain": "  "}, False),
        ({"name": "Studio", "domain": "", "notes": "other"}, False),
        ({"name": "studio"}, True),
        ({"name": "studio"}, False),
        ({"domain": "acme.com"}, True),
        ({"name": "Atelier", "domain": "acme.de"}, True),
    ]
    epoch = 0
    for values, is_stale in edits:
        epoch += is_stale
        changed, reset = update(dam, "ann", workspace, **values)
        assert (reset, changed.analysis_epoch, changed.slug) == (is_stale, epoch, "studio")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "  "}, "name"),
    ({"phone": "1" * 51}, "phone"),
    ({"social_x": "x" * 256}, "social_x"),
    ({"notes": "x" * 10_001}, "notes"),
    ({"website": "a\nb"}, "website"),
    ({FEATURES: {"": True}}, "settings.features"),
    ({}, "update_mask"),
]


@pytest.mark.req("REQ-010", "REQ-011")
def test_what_an_update_gives_is_checked(dam: World) -> None:
    workspace = dam.workspace("ann")
    for values, field in WRONG:
        with pytest.raises(InvalidArgument) as refused:
            update(dam, "ann", workspace, **values)
        assert refused.value.field == field


@pytest.mark.req("REQ-081", "REQ-091")
def test_branding_needs_the_plan(dam: World) -> None:
    workspace = dam.workspace("ann")
    branding = {BRANDING: Branding(primary_color="#aabbcc")}
    with pytest.raises(Denied) as refused:
        update(dam, "ann", workspace, **branding)
    assert refused.value.reason == "PLAN_FEATURE_MISSING"
    assert not get(dam, "ann", workspace).can_customize_branding
    dam.subscribe(workspace, "professional")
    assert update(dam, "ann", workspace, **branding)[0].settings.branding.primary_color == "#aabbcc"
    assert get(dam, "ann", workspace).can_customize_branding


@pytest.mark.req("REQ-092", "REQ-125")
def test_what_the_place_above_restricted_only_it_may_change(dam: World) -> None:
    parent = dam.workspace("ann")
    dam.add("ann", parent, "bob", "admin")
    child = dam.child("bob", parent)
    dam.add("bob", child, "cid", "admin")
    forbidden = {FEATURES: {"child_workspaces": False, "custom_fields": True}}
    with pytest.raises(Denied) as refused:  # it sees the child, so it is told the truth
        update(dam, "cid", child, **forbidden)
    assert refused.value.reason == "NOT_A_MEMBER"
    update(dam, "ann", child, **forbidden)
    assert not dam.may("bob", child, "workspace", "create_child")
    with pytest.raises(Denied):
        update(dam, "cid", child, **{FEATURES: {}})
    update(dam, "cid", child, **{FEATURES: {"child_workspaces": False, "advanced_search": True}})
    update(dam, "bob", child, **{FEATURES: {"child_workspaces": True}})
    assert dam.may("bob", child, "workspace", "create_child")


@pytest.mark.req("REQ-087", "REQ-088", "REQ-136")
def test_a_workspace_is_shown_with_what_is_effective(dam: World) -> None:
    dam.user("ann")
    parent = dam.workspace("ann", module_list=["dam", "analytics"])
    child = dam.child("ann", parent, module_list=["analytics", "dam"])
    dam.subscribe(parent, "professional")
    view = get(dam, "ann", child)
    assert (view.state, view.suspended_by, view.modules) == (State.ACTIVE, None, ("analytics", "dam"))
    assert (view.plan, view.plan_type) == ("professional", "paid")
    assert (view.owner.id, view.owner.name, view.owner.email) == ("ann", "Ann", "ann@example.com")
    dam.suspend(parent)
    view = get(dam, "ann", child)
    assert (view.state, view.suspended_by, view.workspace.is_suspended) == (State.SUSPENDED, key(parent), False)
    dam.write("ann", workspace_states.deactivate, workspace_id=child.id)
    view = get(dam, "ann", child)
    assert (view.state, view.suspended_by, view.workspace.is_active) == (State.INACTIVE, key(child), False)


def test_an_owner_nobody_knows_is_shown_by_id(dam: World) -> None:
    owner = get(dam, "ann", dam.workspace("ann")).owner
    assert (owner.id, owner.name, owner.email) == ("ann", "", "")


@pytest.mark.req("REQ-089")
def test_suspending_and_deactivating_are_independent_and_idempotent(dam: World) -> None:
    workspace = dam.workspace("ann")

    def do(function: Any, **values: str) -> Workspace:
        found: Workspace = dam.write("op", function, workspace_id=workspace.id, **values)
        before = dam.revision
        assert dam.write("op", function, workspace_id=workspace.id) == found
        assert dam.revision == before
        return found

    suspended = do(workspace_states.suspend, reason=" unpaid ")
    assert (suspended.is_suspended, suspended.suspended_reason, suspended.suspended_by) == (True, "unpaid", "op")
    assert suspended.suspended_at is not None
    assert not do(workspace_states.deactivate).is_active
    assert get(dam, "ann", workspace).state == State.INACTIVE
    assert do(workspace_states.activate).is_suspended
    lifted = do(workspace_states.reinstate)
    assert (lifted.is_suspended, lifted.suspended_reason) == (False, "")
    assert (lifted.suspended_at, lifted.suspended_by) == (None, None)


def test_reinstating_a_parent_restores_exactly_what_was_there(dam: World) -> None:
    parent = dam.workspace("ann")
    suspended, active = dam.child("ann", parent), dam.child("ann", parent)
    dam.suspend(suspended)
    dam.suspend(parent)
    assert [get(dam, "ann", each).state for each in (suspended, active)] == [State.SUSPENDED, State.SUSPENDED]
    dam.write("op", workspace_states.reinstate, workspace_id=parent.id)
    assert [get(dam, "ann", each).state for each in (suspended, active)] == [State.SUSPENDED, State.ACTIVE]


def test_a_reason_is_limited(dam: World) -> None:
    workspace = dam.workspace("ann")
    with pytest.raises(InvalidArgument) as refused:
        dam.write("op", workspace_states.suspend, workspace_id=workspace.id, reason="x" * 1_001)
    assert refused.value.field == "reason"


@pytest.mark.req("REQ-039", "REQ-044")
def test_deleting_takes_everything_below_and_nothing_beside(dam: World) -> None:
    roof = dam.organization("ann")
    parent = dam.workspace("ann", organization_id=roof.id)
    child = dam.child("ann", parent)
    grandchild = dam.child("ann", child)
    sibling = dam.child("ann", parent)
    dam.add("ann", grandchild, "bob")
    dam.user("bob")
    with dam.database.write() as connection:
        user_rows.update(connection, "bob", {"default_workspace_id": grandchild.id})
    assert dam.write("ann", workspaces.delete, workspace_id=child.id) == 2
    for gone in (child, grandchild):
        assert dam.row(workspace_rows.find, gone.id) is None
        assert dam.row(invite_codes.find, gone.id) is None
        assert [dam.member(gone, user) for user in ("ann", "bob")] == [None, None]
        for function in (workspaces.delete, workspace_states.suspend, workspace_states.activate):
            with pytest.raises(WorkspaceNotFound):
                dam.write("op", function, workspace_id=gone.id)
        with pytest.raises(WorkspaceNotFound):
            get(dam, "op", gone)
    bob = dam.row(user_rows.find, "bob")
    assert bob is not None
    assert bob.default_workspace_id is None
    assert dam.row(invite_codes.find, sibling.id) is not None
    assert dam.member(sibling, "ann") is not None
    assert dam.member(roof, "bob") is not None
    assert dam.workspace("ann", "Child", organization_id=roof.id).slug == "child"


@pytest.mark.req("REQ-043")
def test_after_the_last_workspace_is_gone_the_next_is_the_first_again(dam: World) -> None:
    def is_first() -> bool:
        return dam.replica.look(lambda facts, _rules, _now: workspace_lists.is_first_workspace(facts, "ann"))

    assert is_first()
    workspace = dam.workspace("ann")
    assert not is_first()
    dam.write("ann", workspaces.delete, workspace_id=workspace.id)
    assert is_first()


def test_every_write_is_audited_with_the_actor(dam: World) -> None:
    dam.write("", upsert, UserEvent(user_id="ann", name="Ann Secret", email="ann@secret.example"))
    roof = dam.organization("ann", "Secret Roof")
    workspace = dam.workspace("ann", "Secret Name", description="Secret", organization_id=roof.id)
    update(dam, "ann", workspace, notes="Secret")
    dam.write("op", workspace_states.suspend, workspace_id=workspace.id, reason="Secret")
    dam.write("op", organizations.suspend, organization_id=roof.id)
    entries = dam.audited()
    assert "ecret" not in str(entries)
    last = entries[-1]
    assert (last["actor"], last["target_kind"], last["target_id"]) == ("op", "organization", roof.id)
