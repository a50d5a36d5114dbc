"""The workflows of dam's document: a tree of workspaces, guarded routes, modules, subscriptions and settings."""

from typing import Any

import pytest

from tests.workflows.product import (
    ALLOWED,
    DENIED,
    INVALID,
    NOT_FOUND,
    OPENED,
    PRECONDITION,
    Person,
    Product,
    why,
)
from wsauthz.v1 import places_pb2, settings_pb2, users_pb2

ACTIVE = settings_pb2.SUBSCRIPTION_STATUS_ACTIVE
EXPIRED = settings_pb2.SUBSCRIPTION_STATUS_EXPIRED

NOT_FOUND_PAGE = "404 Workspace not found"
FORBIDDEN = "403 Permission denied"
TO_START = "302 /"
TO_INACTIVE = "302 /workspace-inactive"


def to_settings(workspace: str) -> str:
    return f"302 /{workspace}/workspace-settings"


def to_suspended(workspace: str) -> str:
    return f"302 /{workspace}/workspace-suspended"


def create(owner: Person, name: str = "Marketing Team", **fields: Any) -> str:
    """Create a workspace and return its id."""
    made: str = owner.does("CreateWorkspace", name=name, **fields).workspace.id
    return made


def create_child(by: Person, parent: str, name: str = "North", **fields: Any) -> str:
    """Create a child workspace and return its id."""
    made: str = by.does("CreateChildWorkspace", parent_workspace_id=parent, name=name, **fields).workspace.id
    return made


def add(product: Product, name: str, by: Person, workspace: str, **fields: Any) -> Person:
    """Sign somebody up and have it added to a workspace."""
    person = product.person(name)
    by.does("AddMember", workspace_id=workspace, user_id=person.id, **fields)
    return person


def subscribe(product: Product, workspace: str, plan: str = "professional", status: int = ACTIVE) -> None:
    """Tell what the billing system knows of a workspace."""
    product.operator.does("SetSubscription", workspace_id=workspace, plan=plan, status=status)


def modules(*names: str) -> dict[str, Any]:
    """Return the field of a request that lists modules."""
    return {"modules": {"modules": names}}


def settings_of(**fields: Any) -> dict[str, Any]:
    """Return the fields of an update of one part of a workspace's settings."""
    return {"workspace": {"settings": fields}, "update_mask": {"paths": [f"settings.{name}" for name in fields]}}


# --- coming in: invited, by the code, promoted ------------------------------------------------------------------------


@pytest.mark.req(
    "REQ-026", "REQ-029", "REQ-031", "REQ-032", "REQ-036", "REQ-037", "REQ-094", "REQ-095", "REQ-096", "REQ-097"
)
def test_people_come_into_a_workspace_and_are_promoted(dam: Product) -> None:
    anna, ben, cora, eve = (dam.person(name) for name in ("Anna", "Ben", "Cora", "Eve"))
    workspace = create(anna)

    sent = anna.does("CreateInvitation", workspace_id=workspace, email=ben.email, role="viewer", **modules("dam"))
    assert ben.does("GetInvitation", token=sent.token).workspace.name == "Marketing Team"
    assert why(cora.cannot("AcceptInvitation", token=sent.token)) == (DENIED, "INVITATION_EMAIL_MISMATCH")
    accepted = ben.does("AcceptInvitation", token=sent.token).membership
    assert (accepted.role, list(accepted.modules.modules)) == ("viewer", ["dam"])
    assert why(ben.cannot("AcceptInvitation", token=sent.token)) == (PRECONDITION, "INVITATION_USED")

    code = anna.does("GetInviteCode", workspace_id=workspace).code
    for guess in (workspace, "marketing-team"):
        assert why(cora.cannot("JoinByCode", code=guess)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert cora.does("JoinByCode", code=code).joined.membership.role == "member"
    anna.does("RotateInviteCode", workspace_id=workspace)
    assert why(eve.cannot("JoinByCode", code=code)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")

    # Viewers read, members create and update, admins do everything; a permission is given beside the role.
    asset = [f"dam:asset {action}" for action in ("read", "create", "update", "delete")]
    management = ["workspace update", "member add", "workspace create_child"]
    assert dam.allowed(ben, workspace, *asset, *management) == asset[:1]
    assert dam.allowed(cora, workspace, *asset, *management) == asset[:3]
    member = {"workspace_id": workspace, "user_id": cora.id}
    helping = {"permissions": ["can-manage-users"], "update_mask": {"paths": ["permissions"]}}
    assert why(ben.cannot("UpdateMember", **member, **helping)) == (DENIED, "ROLE_INSUFFICIENT")
    anna.does("UpdateMember", **member, **helping)
    assert dam.allowed(cora, workspace, *asset, *management) == [*asset[:3], "member add"]
    unknown = {"permissions": ["can-fly"], "update_mask": {"paths": ["permissions"]}}
    assert why(anna.cannot("UpdateMember", **member, **unknown)) == (INVALID, "UNKNOWN_PERMISSION")
    promotion = {"role": "admin", "update_mask": {"paths": ["role"]}}
    assert why(cora.cannot("UpdateMember", **{**member, "user_id": ben.id}, **promotion)) == (DENIED, "ROLE_CEILING")
    anna.does("UpdateMember", **member, **promotion)
    assert dam.allowed(cora, workspace, *asset, *management) == asset + management

    found = anna.does("GetMember", **member).member.membership
    assert (found.user_id, found.workspace_id, found.role) == (cora.id, workspace, "admin")
    assert (list(found.permissions), found.is_active) == (["can-manage-users"], True)
    assert found.HasField("joined_at")
    assert not found.HasField("modules")
    anna.does("UpdateMember", **member, is_active=False, update_mask={"paths": ["is_active"]})
    assert dam.allowed(cora, workspace, *asset, *management) == []
    assert dam.page(cora, workspace) == FORBIDDEN


# --- Switch Workspace -------------------------------------------------------------------------------------------------


@pytest.mark.req(
    "REQ-071", "REQ-076", "REQ-077", "REQ-098", "REQ-099", "REQ-100", "REQ-102", "REQ-103", "REQ-128", "REQ-130",
    "REQ-131", "REQ-132", "REQ-137",
)  # fmt: skip
def test_a_user_switches_to_another_workspace(dam: Product) -> None:
    anna, other = dam.person("Anna"), dam.person("Other")
    marketing, sales = create(anna), create(anna, "Sales")
    hall = create(other, "Hall")
    other.does("AddMember", workspace_id=hall, user_id=anna.id, role="viewer")
    other.does("DeactivateWorkspace", workspace_id=hall)
    subscribe(dam, sales)
    assert not dam.person("Nobody").does("ListUserWorkspaces").workspaces
    assert dam.app.cannot("ListUserWorkspaces").reason == "ACTOR_REQUIRED"

    # 1. The switcher shows the available workspaces, and which one is open.
    anna.does("SwitchWorkspace", workspace_id=marketing)
    home = anna.does("ListUserWorkspaces", current_workspace_id=marketing)
    shown = {item.name: (item.plan, item.role, item.is_active, item.is_current) for item in home.workspaces}
    assert shown == {
        "Marketing Team": ("", "owner", True, True),
        "Sales": ("professional", "owner", True, False),
        "Hall": ("", "viewer", False, False),
    }
    assert home.current_workspace.name == "Marketing Team"
    assert (home.can_create_workspace, home.can_create_child_workspace) == (True, True)
    assert dam.switcher(anna, query="SAL") == {"Sales": "owner"}

    # 2. The user selects one. 3. It becomes the default of its profile; again is no change.
    before = anna.does("GetUser", user_id=anna.id).user
    saved = anna.does("UpdateProfile", default_workspace_id=sales)
    assert (saved.user.id, saved.user.default_workspace_id) == (anna.id, sales)
    assert saved.user.updated_at.ToDatetime() > before.updated_at.ToDatetime()
    again = anna.does("UpdateProfile", default_workspace_id=sales)
    assert (again.user, again.revision) == (saved.user, saved.revision)

    # 4. Its data is loaded. 5. Its subscription is. 7. What the user may do there is.
    view = anna.does("GetWorkspace", workspace_id=sales)
    assert (view.workspace.name, view.plan, view.plan_type) == ("Sales", "professional", "paid")
    paid = anna.does("GetSubscription", workspace_id=sales)
    assert (paid.subscription.plan, paid.subscription.status, paid.plan_changed) == ("professional", ACTIVE, False)
    assert not paid.warnings

    # All of it in one call.
    switched = anna.does("SwitchWorkspace", workspace_id=sales)
    assert (switched.user, switched.workspace, switched.subscription) == (saved.user, view, paid)
    assert (switched.access.role, switched.access.is_owner) == ("owner", True)
    assert list(switched.access.modules) == ["dam", "analytics", "collaboration"]

    # 6. The same page, of the new workspace.
    assert dam.page(anna, sales, required_module="dam") == OPENED
    assert anna.does("ListUserWorkspaces", current_workspace_id=sales).current_workspace.name == "Sales"

    # The plan has changed since, and has expired: both are told, neither refuses anything.
    subscribe(dam, sales, "trial", EXPIRED)
    switched = anna.does("SwitchWorkspace", workspace_id=sales)
    assert switched.subscription.plan_changed
    assert list(switched.subscription.warnings) == ["SUBSCRIPTION_EXPIRED"]
    assert not anna.does("SwitchWorkspace", workspace_id=sales).subscription.plan_changed
    assert dam.check(anna, sales, "dam:asset create") == ALLOWED

    # A workspace that is not the user's cannot be switched to, and everything stays as it was.
    foreign = create(other, "Foreign")
    for workspace in (foreign, "workspace_unknown"):
        assert why(anna.cannot("SwitchWorkspace", workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
        refused = anna.cannot("UpdateProfile", default_workspace_id=workspace)
        assert why(refused) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert anna.does("GetUser", user_id=anna.id).user == saved.user


@pytest.mark.req("REQ-078")
def test_the_switcher_of_the_settings_goes_to_the_same_page_of_another_workspace(dam: Product) -> None:
    anna, other = dam.person("Anna"), dam.person("Other")
    marketing, hall = create(anna), create(other, "Hall")
    other.does("AddMember", workspace_id=hall, user_id=anna.id, role="member")
    assert dam.switcher(anna) == {"Marketing Team": "owner", "Hall": "member"}
    assert dam.switcher(anna, manageable_only=True) == {"Marketing Team": "owner"}
    managing = {"permissions": ["can-manage-workspace"], "update_mask": {"paths": ["permissions"]}}
    other.does("UpdateMember", workspace_id=hall, user_id=anna.id, **managing)
    assert dam.switcher(anna, manageable_only=True) == {"Marketing Team": "owner", "Hall": "member"}
    for workspace in (marketing, hall):
        assert dam.page(anna, workspace) == OPENED


@pytest.mark.req("REQ-084", "REQ-104", "REQ-105")
def test_the_current_workspace_is_that_of_route_store_local_storage_or_profile(dam: Product) -> None:
    anna = dam.person("Anna")
    workspace = create(anna)
    nowhere = anna.does("ResolveCurrentWorkspace")
    assert (nowhere.workspace_id, nowhere.source) == ("", users_pb2.WORKSPACE_SOURCE_NONE)
    assert dam.page(anna, nowhere.workspace_id) == TO_START
    anna.does("UpdateProfile", default_workspace_id=workspace)
    given = {"route": "", "store": "", "local_storage": ""}
    expected = [
        (given, workspace, users_pb2.WORKSPACE_SOURCE_PROFILE),
        ({**given, "local_storage": "third"}, "third", users_pb2.WORKSPACE_SOURCE_LOCAL_STORAGE),
        ({"route": "", "store": "second", "local_storage": "third"}, "second", users_pb2.WORKSPACE_SOURCE_STORE),
        ({"route": "no such", "store": "second", "local_storage": ""}, "no such", users_pb2.WORKSPACE_SOURCE_ROUTE),
    ]
    for texts, current, source in expected:
        found = anna.does("ResolveCurrentWorkspace", **texts)
        assert (found.workspace_id, found.source) == (current, source)
    assert dam.page(anna, "no such") == NOT_FOUND_PAGE


# --- Workspace Access Validation --------------------------------------------------------------------------------------


@pytest.mark.req(
    "REQ-075", "REQ-108", "REQ-109", "REQ-110", "REQ-111", "REQ-112", "REQ-114", "REQ-115", "REQ-116", "REQ-117",
    "REQ-118", "REQ-119", "REQ-120", "REQ-127", "REQ-129", "REQ-136", "REQ-138", "REQ-144", "REQ-145",
)  # fmt: skip
def test_access_to_a_workspace_is_validated_in_seven_steps(dam: Product) -> None:
    anna, eve = dam.person("Anna"), dam.person("Eve")
    workspace = create(anna, **modules("dam", "analytics"))
    ben = add(dam, "Ben", anna, workspace, **modules("dam"))

    # 1. The user navigates to a route of the workspace. 2. The id is taken from it.
    assert dam.page(ben, "") == TO_START
    # 3. The workspace exists, is active, and the user has access.
    assert dam.page(ben, "workspace_unknown") == dam.page(ben, "not an id") == NOT_FOUND_PAGE
    assert dam.page(eve, workspace) == FORBIDDEN
    anna.does("DeactivateWorkspace", workspace_id=workspace)
    assert dam.page(ben, workspace) == TO_INACTIVE
    anna.does("ActivateWorkspace", workspace_id=workspace)
    # 4. Its data and the user's access go to the store.
    view = ben.does("GetWorkspace", workspace_id=workspace)
    assert (view.workspace.name, view.state, list(view.modules)) == (
        "Marketing Team",
        places_pb2.STATE_ACTIVE,
        ["dam", "analytics"],
    )
    access = dam.app.does("GetAccess", subject=ben.id, workspace_id=workspace)
    assert (access.role, list(access.modules), list(access.permissions)) == ("member", ["dam"], [])
    assert (access.is_active, access.is_owner, access.can_manage_workspace) == (True, False, False)
    # 5. Modules, if the page requires one: the workspace has it, and so does the user.
    assert dam.page(ben, workspace) == dam.page(ben, workspace, required_module="dam") == OPENED
    assert dam.page(ben, workspace, required_module="collaboration") == to_settings(workspace)
    assert dam.page(anna, workspace, required_module="collaboration") == to_settings(workspace)
    assert dam.page(ben, workspace, required_module="analytics") == to_settings(workspace)
    assert dam.page(anna, workspace, required_module="analytics") == OPENED
    alone = {"guards": ["check-workspace-modules"], "required_module": "dam"}
    assert dam.page(ben, "workspace_unknown", **alone) == to_settings("workspace_unknown")
    # 7. Access is allowed, and what is done on the page is asked one by one, or as a list.
    asked = ("dam:asset/42 read", "dam:asset/42 delete", "analytics:report read", "workspace view")
    assert dam.allowed(ben, workspace, *asked) == ["dam:asset/42 read", "workspace view"]
    assert dam.check(ben, workspace, "analytics:report read") == "MODULE_NOT_GRANTED"
    assert dam.check(ben, workspace, "collaboration:comment read") == "MODULE_NOT_ENABLED"
    assert dam.allowed(eve, workspace, *asked) == []
    # 6. Suspension.
    dam.operator.does("SuspendWorkspace", workspace_id=workspace, reason="unpaid")
    for person in (anna, ben):
        assert (
            dam.page(person, workspace) == dam.page(person, workspace, required_module="dam") == to_suspended(workspace)
        )
        assert dam.allowed(person, workspace, *asked) == ["workspace view"]
    assert dam.page(ben, workspace, guards=["checkWorkspace"]) == OPENED
    assert dam.page(ben, "workspace_unknown", guards=["check-if-suspended"]) == TO_START
    # In the page's order: what fails first is where the browser goes.
    both = ["check-if-suspended", "check-workspace-modules"]
    assert dam.page(ben, workspace, guards=both, required_module="analytics") == to_suspended(workspace)
    assert dam.page(ben, workspace, guards=both[::-1], required_module="analytics") == to_settings(workspace)
    assert dam.page(eve, workspace) == FORBIDDEN
    suspended = ben.does("GetWorkspace", workspace_id=workspace)
    assert (suspended.workspace.is_suspended, suspended.workspace.is_active) == (True, True)
    assert (suspended.state, suspended.suspended_by.workspace_id) == (places_pb2.STATE_SUSPENDED, workspace)
    typo = dam.app.cannot("CheckRoute", subject=ben.id, workspace_id=workspace, guards=["check-workspace"])
    assert why(typo) == (INVALID, "UNKNOWN_GUARD")


@pytest.mark.req("REQ-085", "REQ-106", "REQ-107", "REQ-123", "REQ-129")
def test_owners_admins_and_an_explicit_permission_manage_a_workspace(dam: Product) -> None:
    anna = dam.person("Anna")
    workspace = create(anna)
    admin = add(dam, "Admin", anna, workspace, role="admin")
    manager = add(dam, "Manager", anna, workspace, role="viewer", permissions=["can-manage-workspace"])
    member = add(dam, "Member", anna, workspace)
    rights = {}
    for person in (anna, admin, manager, member):
        access = dam.app.does("GetAccess", subject=person.id, workspace_id=workspace)
        rights[person.name] = (access.is_owner, access.can_manage_workspace, access.can_create_child)
    assert rights == {
        "Anna": (True, True, True),
        "Admin": (False, True, True),
        "Manager": (False, True, False),
        "Member": (False, False, False),
    }
    renaming = {"workspace_id": workspace, "workspace": {"name": "Brand Team"}, "update_mask": {"paths": ["name"]}}
    assert manager.does("UpdateWorkspace", **renaming).workspace.name == "Brand Team"
    assert why(member.cannot("UpdateWorkspace", **renaming)) == (DENIED, "ROLE_INSUFFICIENT")
    assert dam.app.cannot("UpdateWorkspace", **renaming).reason == "ACTOR_REQUIRED"


# --- Create Child Workspace -------------------------------------------------------------------------------------------


@pytest.mark.req(
    "REQ-073", "REQ-121", "REQ-122", "REQ-123", "REQ-124", "REQ-125", "REQ-139", "REQ-140", "REQ-141", "REQ-142",
    "REQ-143",
)  # fmt: skip
def test_an_admin_creates_a_child_workspace_and_goes_there(dam: Product) -> None:
    anna = dam.person("Anna")
    parent = create(anna, **modules("dam", "analytics"))
    subscribe(dam, parent)
    admin = add(dam, "Admin", anna, parent, role="admin")
    manager = add(dam, "Manager", anna, parent, permissions=["can-manage-workspace"])
    eve = dam.person("Eve")

    # 1. The page that creates a child. 2. Its guard: owners and admins, if the workspace allows children.
    page = {"guards": ["can-create-childWorkspace"]}
    assert dam.page(anna, parent, **page) == dam.page(admin, parent, **page) == OPENED
    assert dam.page(manager, parent, **page) == dam.page(eve, parent, **page) == FORBIDDEN
    assert dam.page(anna, "workspace_unknown", **page) == NOT_FOUND_PAGE
    form = {"parent_workspace_id": parent, "name": "North"}
    assert why(manager.cannot("CreateChildWorkspace", **form)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(eve.cannot("CreateChildWorkspace", **form)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert not manager.does("ListUserWorkspaces", current_workspace_id=parent).can_create_child_workspace

    # 3. The form: name, settings, modules. 4. The workspace is created.
    assert anna.cannot("CreateChildWorkspace", **{**form, "name": ""}).fields == ("name",)
    beyond = modules("dam", "collaboration")
    assert why(anna.cannot("CreateChildWorkspace", **form, **beyond)) == (PRECONDITION, "MODULE_NOT_IN_PARENT")
    settings = {"features": {"custom_fields": True, "advanced_search": False}}
    child = admin.does("CreateChildWorkspace", **form, settings=settings, **modules("dam")).workspace

    # 5. It is below its parent, and the creator's, who finds it in the list.
    assert (child.name, child.slug, child.parent_workspace_id) == ("North", "north", parent)
    assert (list(child.modules), dict(child.settings.features)) == (["dam"], settings["features"])
    assert child.owner_user_id == admin.id
    assert admin.does("GetMember", workspace_id=child.id, user_id=admin.id).member.membership.role == "admin"
    assert dam.switcher(admin) == {"Marketing Team": "admin", "North": "owner"}
    assert [each.name for each in anna.does("ListChildWorkspaces", workspace_id=parent).workspaces] == ["North"]
    assert not manager.does("ListChildWorkspaces", workspace_id=parent).workspaces

    # 6. The creator goes there and loads its data; the plan is the parent's.
    switched = admin.does("SwitchWorkspace", workspace_id=child.id)
    assert (switched.user.default_workspace_id, switched.workspace.workspace) == (child.id, child)
    assert (switched.access.is_owner, list(switched.access.modules)) == (True, ["dam"])
    assert (switched.workspace.plan, switched.subscription.subscription.workspace_id) == ("professional", parent)
    assert dam.page(admin, child.id, required_module="dam") == OPENED
    assert dam.page(admin, child.id, required_module="analytics") == to_settings(child.id)

    # An explicit false of the feature blocks everybody, owners, too; whatever else is no false.
    parents = {"workspace_id": parent}
    dam.operator.does("UpdateWorkspace", **parents, **settings_of(features={"child_workspaces": False}))
    for person in (anna, admin):
        assert dam.page(person, parent, **page) == "403 Child workspaces not allowed"
        assert why(person.cannot("CreateChildWorkspace", **form)) == (DENIED, "CHILD_WORKSPACES_NOT_ALLOWED")
        assert not dam.app.does("GetAccess", subject=person.id, workspace_id=parent).can_create_child
    assert dam.page(manager, parent, **page) == FORBIDDEN
    dam.operator.does("UpdateWorkspace", **parents, **settings_of(features={"child_workspaces": True}))
    assert dam.page(anna, parent, **page) == OPENED
    assert create_child(anna, parent, "South")


@pytest.mark.req("REQ-073", "REQ-074", "REQ-083", "REQ-089", "REQ-126")
def test_a_child_is_reached_through_its_parent_and_stops_with_it(dam: Product) -> None:
    anna, eve = dam.person("Anna"), dam.person("Eve")
    parent, elsewhere = create(anna), create(anna, "Sales")
    child = create_child(anna, parent)
    ben, cora = add(dam, "Ben", anna, parent, role="admin"), add(dam, "Cora", anna, parent)
    dora = add(dam, "Dora", anna, child)

    # Admins of the parent are admins of the child, its members are nothing there.
    page = {"guards": ["can-access-child-workspace"], "parent_workspace_id": parent}
    assert [dam.role(person, child) for person in (anna, ben, cora, dora)] == ["owner", "admin", "", "member"]
    assert dam.page(ben, child, **page) == dam.page(dora, child, **page) == OPENED
    assert dam.page(cora, child, **page) == dam.page(eve, child, **page) == FORBIDDEN
    for wrong in (elsewhere, child, "workspace_unknown"):
        assert dam.page(ben, child, guards=page["guards"], parent_workspace_id=wrong) == NOT_FOUND_PAGE
    assert dam.check(dora, parent, "workspace view") == "NOT_A_MEMBER"

    # Suspension flows down; it is lifted by the place above, and leaves the child as it was.
    dam.operator.does("SuspendWorkspace", workspace_id=parent)
    assert dam.page(dora, child) == dam.page(dora, child, **page) == to_suspended(child)
    shown = dora.does("GetWorkspace", workspace_id=child)
    assert (shown.workspace.is_suspended, shown.suspended_by.workspace_id) == (False, parent)
    assert dam.check(dora, child, "dam:asset read") == "WORKSPACE_SUSPENDED"
    for person in (anna, ben):
        assert why(person.cannot("ReinstateWorkspace", workspace_id=parent)) == (DENIED, "ROLE_INSUFFICIENT")
        assert person.cannot("SuspendWorkspace", workspace_id=child).code == DENIED
    dam.operator.does("ReinstateWorkspace", workspace_id=parent)
    assert dam.page(dora, child) == OPENED

    # A child's own: suspended by an admin of the parent, not by its own people; inactive by its owner.
    ben.does("SuspendWorkspace", workspace_id=child, reason="on hold")
    assert dam.page(dora, child) == to_suspended(child)
    assert dam.page(anna, parent) == OPENED
    assert dora.cannot("ReinstateWorkspace", workspace_id=child).code == DENIED
    anna.does("DeactivateWorkspace", workspace_id=child)
    flags = dora.does("GetWorkspace", workspace_id=child).workspace
    assert (flags.is_suspended, flags.is_active, flags.suspended_reason) == (True, False, "on hold")
    assert dam.page(dora, child) == dam.page(dora, child, **page) == TO_INACTIVE
    anna.does("ActivateWorkspace", workspace_id=child)
    assert dam.page(dora, child) == to_suspended(child)
    ben.does("ReinstateWorkspace", workspace_id=child)
    assert dam.page(dora, child) == OPENED


# --- Workspace Settings Pages -----------------------------------------------------------------------------------------


@pytest.mark.req(
    "REQ-072", "REQ-075", "REQ-080", "REQ-081", "REQ-086", "REQ-087", "REQ-088", "REQ-090", "REQ-091", "REQ-092",
    "REQ-093", "REQ-133", "REQ-134", "REQ-136",
)  # fmt: skip
def test_the_settings_page_shows_a_workspace_and_changes_it(dam: Product) -> None:
    anna = dam.person("Anna")
    workspace = create(anna)
    place = {"workspace_id": workspace}
    ben = add(dam, "Ben", anna, workspace)

    # Information, with the owner and the notes.
    view = anna.does("GetWorkspace", **place)
    assert (view.workspace.name, view.workspace.slug) == ("Marketing Team", "marketing-team")
    assert not view.workspace.HasField("parent_workspace_id")
    assert (view.owner.id, view.owner.name, view.owner.email) == (anna.id, "Anna", anna.email)
    assert view.workspace.created_at.ToJsonString().endswith("Z")
    assert (view.workspace.is_active, view.workspace.is_suspended, view.state) == (True, False, places_pb2.STATE_ACTIVE)
    notes = {"workspace": {"notes": "Under way until June"}, "update_mask": {"paths": ["notes"]}}
    assert why(ben.cannot("UpdateWorkspace", **place, **notes)) == (DENIED, "ROLE_INSUFFICIENT")
    anna.does("UpdateWorkspace", **place, **notes)
    assert ben.does("GetWorkspace", **place).workspace.notes == "Under way until June"

    # Subscription: as the billing system says. Branding: with a plan that has it.
    look = settings_of(branding={"logo": "https://cdn.example/marketing.png", "primary_color": "#1976D2"})
    assert not view.can_customize_branding
    assert why(anna.cannot("UpdateWorkspace", **place, **look)) == (DENIED, "PLAN_FEATURE_MISSING")
    plan = {"plan": "professional", "status": ACTIVE}
    assert anna.cannot("SetSubscription", **place, **plan).code == DENIED
    assert why(dam.operator.cannot("SetSubscription", **place, **{**plan, "plan": "gold"})) == (INVALID, "UNKNOWN_PLAN")
    subscribe(dam, workspace)
    assert ben.does("GetSubscription", **place).subscription.plan == "professional"
    branding = anna.does("UpdateWorkspace", **place, **look).workspace.settings.branding
    assert (branding.logo, branding.primary_color) == ("https://cdn.example/marketing.png", "#1976D2")
    wrong = settings_of(branding={"primary_color": "blue"})
    assert anna.cannot("UpdateWorkspace", **place, **wrong).code == INVALID
    assert why(ben.cannot("UpdateWorkspace", **place, **look)) == (DENIED, "ROLE_INSUFFICIENT")

    # Features: what is absent is not false.
    anna.does("UpdateWorkspace", **place, **settings_of(features={"custom_fields": True, "advanced_search": False}))

    # Modules: those of the catalog, each once, in order.
    assert list(anna.does("SetModules", **place, modules=["analytics", "dam"]).workspace.modules) == [
        "analytics",
        "dam",
    ]
    assert why(anna.cannot("SetModules", **place, modules=["dam", "video"])) == (INVALID, "UNKNOWN_MODULE")
    assert anna.cannot("SetModules", **place, modules=["dam", "dam"]).code == INVALID
    assert why(ben.cannot("SetModules", **place, modules=["dam"])) == (DENIED, "ROLE_INSUFFICIENT")
    assert dam.page(ben, workspace, required_module="collaboration") == to_settings(workspace)

    # All of it, as the page shows it next time.
    view = ben.does("GetWorkspace", **place)
    assert (view.plan, view.plan_type, view.can_customize_branding) == ("professional", "paid", False)
    assert anna.does("GetWorkspace", **place).can_customize_branding
    assert list(view.modules) == ["analytics", "dam"]
    assert view.workspace.settings.branding == branding
    assert dict(view.workspace.settings.features) == {"custom_fields": True, "advanced_search": False}
    assert view.workspace.updated_at.ToDatetime() > view.workspace.created_at.ToDatetime()


@pytest.mark.req("REQ-079", "REQ-134")
def test_the_owner_dialog_transfers_ownership_to_a_candidate(dam: Product) -> None:
    anna = dam.person("Anna")
    workspace = create(anna)
    place = {"workspace_id": workspace}
    ben, admin = add(dam, "Ben", anna, workspace), add(dam, "Admin", anna, workspace, role="admin")
    off = add(dam, "Off", anna, workspace)
    anna.does("UpdateMember", **place, user_id=off.id, is_active=False, update_mask={"paths": ["is_active"]})

    candidates = anna.does("ListOwnerCandidates", **place).members
    assert {each.user_name: each.user_email for each in candidates} == {"Ben": ben.email, "Admin": admin.email}
    assert [each.user_name for each in anna.does("ListOwnerCandidates", **place, query="BEN").members] == ["Ben"]
    assert why(admin.cannot("ListOwnerCandidates", **place)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(admin.cannot("TransferOwnership", **place, user_id=admin.id)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(anna.cannot("TransferOwnership", **place, user_id=anna.id)) == (PRECONDITION, "ALREADY_OWNER")
    for person in (off, dam.person("Eve")):
        assert why(anna.cannot("TransferOwnership", **place, user_id=person.id)) == (NOT_FOUND, "MEMBER_NOT_FOUND")

    done = anna.does("TransferOwnership", **place, user_id=ben.id)
    assert (done.workspace.owner_user_id, done.membership.user_id, done.membership.role) == (ben.id, ben.id, "admin")
    assert anna.does("GetWorkspace", **place).owner.name == "Ben"
    assert dam.members(anna, workspace) == {"Anna": "admin", "Ben": "admin", "Admin": "admin", "Off": "member"}
    assert why(anna.cannot("TransferOwnership", **place, user_id=anna.id)) == (DENIED, "ROLE_INSUFFICIENT")


@pytest.mark.req("REQ-072", "REQ-135")
def test_the_settings_page_of_a_module_is_for_its_managers(dam: Product) -> None:
    anna = dam.person("Anna")
    workspace = create(anna)
    place = {"workspace_id": workspace, "module": "dam"}
    ben = add(dam, "Ben", anna, workspace)
    manager = add(dam, "Manager", anna, workspace, permissions=["can-manage-workspace"])
    assert dam.page(anna, workspace, required_module="dam") == OPENED
    assert not anna.does("GetModuleSettings", **place).settings.fields

    settings = {"watermark": True, "formats": ["png", "tiff"], "limits": {"megabytes": 200}}
    saved = manager.does("UpdateModuleSettings", **place, settings=settings)
    assert saved.settings == anna.does("GetModuleSettings", **place).settings
    assert (saved.settings["watermark"], saved.settings["limits"]["megabytes"]) == (True, 200)
    assert why(ben.cannot("GetModuleSettings", **place)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(ben.cannot("UpdateModuleSettings", **place, settings={})) == (DENIED, "ROLE_INSUFFICIENT")
    unknown = {"workspace_id": workspace, "module": "video"}
    assert why(anna.cannot("GetModuleSettings", **unknown)) == (INVALID, "UNKNOWN_MODULE")
    assert why(anna.cannot("UpdateModuleSettings", **unknown, settings={})) == (INVALID, "UNKNOWN_MODULE")
    anna.does("SetModules", workspace_id=workspace, modules=["analytics"])
    assert why(anna.cannot("GetModuleSettings", **place)) == (DENIED, "MODULE_NOT_ENABLED")
    assert dam.page(anna, workspace, required_module="dam") == to_settings(workspace)


# --- deleting an account ----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-064", "REQ-067")
def test_an_account_is_deleted_with_what_it_owns_and_without_what_it_handed_over(dam: Product) -> None:
    anna = dam.person("Anna")
    kept, gone = create(anna, "Kept"), create(anna, "Gone")
    child = create_child(anna, kept)
    below = create_child(anna, gone, "Below")
    cora = add(dam, "Cora", anna, kept)
    code = anna.does("GetInviteCode", workspace_id=gone).code
    anna.does("TransferOwnership", workspace_id=kept, user_id=cora.id)
    assert cora.cannot("DeleteAccount", user_id=anna.id).code == DENIED

    answer = anna.does("DeleteAccount")
    assert (answer.deleted, answer.deleted_workspaces) == (True, 3)
    assert dam.switcher(cora) == {"Kept": "owner"}
    assert dam.members(cora, kept) == {"Cora": "admin"}
    for workspace in (gone, child, below):
        assert dam.page(cora, workspace) == NOT_FOUND_PAGE
    assert why(cora.cannot("JoinByCode", code=code)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert dam.page(anna, kept) == FORBIDDEN
    assert why(anna.cannot("GetWorkspace", workspace_id=kept)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert not anna.does("DeleteAccount").deleted
