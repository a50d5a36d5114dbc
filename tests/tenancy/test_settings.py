import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import (
    InvalidArgument,
    ModuleNotInParent,
    ModuleNotInPlan,
    RoleCeiling,
    UnknownModule,
    WorkspaceNotFound,
)
from wsauthz.model.workspaces import Workspace
from wsauthz.tenancy import settings


def set_modules(world: World, workspace: Workspace, *modules: str, by: str = "ann") -> tuple[str, ...]:
    return world.write(by, settings.set_modules, workspace_id=workspace.id, module_list=modules).modules


@pytest.mark.req("REQ-090")
def test_modules_are_kept_in_the_order_given(dam: World) -> None:
    workspace = dam.workspace("ann")
    assert set_modules(dam, workspace, "collaboration", "dam") == ("collaboration", "dam")
    assert dam.may("ann", workspace, "dam:asset", "read")
    assert not dam.may("ann", workspace, "analytics:report", "read")
    before = dam.revision
    set_modules(dam, workspace, "collaboration", "dam")
    assert dam.revision == before
    assert set_modules(dam, workspace) == ()


def test_only_modules_of_the_catalog_can_be_set_and_each_once(dam: World) -> None:
    workspace = dam.workspace("ann")
    with pytest.raises(UnknownModule):
        set_modules(dam, workspace, "crm")
    with pytest.raises(InvalidArgument):
        set_modules(dam, workspace, "dam", "dam")
    with pytest.raises(WorkspaceNotFound):
        dam.write("ann", settings.set_modules, workspace_id="nowhere", module_list=[])


def test_a_childs_modules_lie_within_its_parents_and_narrow_with_them(dam: World) -> None:
    parent = dam.workspace("ann", module_list=["dam", "analytics"])
    child = dam.child("ann", parent)
    with pytest.raises(ModuleNotInParent):
        set_modules(dam, child, "dam", "collaboration")
    set_modules(dam, parent, "dam")
    assert not dam.may("ann", child, "analytics:report", "read")
    assert dam.replica.facts.places[key(child)].own_modules == frozenset({"dam", "analytics"})
    with pytest.raises(ModuleNotInParent):
        set_modules(dam, child, "analytics")


def test_who_is_limited_in_the_parent_adds_no_other_modules_to_its_child(dam: World) -> None:
    parent = dam.workspace("ann", module_list=["dam", "analytics"])
    dam.add("ann", parent, dam.user("bob"), role="admin", modules=("dam",))
    child = dam.child("bob", parent)
    assert child.modules == ("dam",)
    with pytest.raises(RoleCeiling):
        set_modules(dam, child, "dam", "analytics", by="bob")
    assert set_modules(dam, child, "dam", "analytics", by="ann") == ("dam", "analytics")
    assert set_modules(dam, child, "analytics", by="bob") == ("analytics",)  # what is there may stay, and go
    stranger = dam.user("cleo")
    dam.add("bob", child, stranger, role="admin")
    assert set_modules(dam, child, "analytics", "dam", by=stranger) == ("analytics", "dam")


def test_a_right_above_that_is_limited_to_modules_adds_no_others_below(dam: World) -> None:
    top = dam.workspace("ann", module_list=["dam", "analytics"])
    dam.add("ann", top, dam.user("bob"), role="admin", modules=("dam",))
    parent = dam.child("ann", top)
    child = dam.child("ann", parent, module_list=["dam"])
    dam.add("ann", parent, "bob", role="viewer")
    with pytest.raises(RoleCeiling):
        set_modules(dam, child, "dam", "analytics", by="bob")
    assert set_modules(dam, child, by="bob") == ()
    assert set_modules(dam, child, "dam", by="bob") == ("dam",)


def test_modules_lie_within_the_effective_plan(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.subscribe(parent, "free")
    for workspace in (child, parent):
        with pytest.raises(ModuleNotInPlan):
            set_modules(dam, workspace, "dam", "analytics")
        assert set_modules(dam, workspace, "dam") == ("dam",)
    other = dam.workspace("ann")
    dam.subscribe(other, "professional")
    assert set_modules(dam, other, "analytics") == ("analytics",)
