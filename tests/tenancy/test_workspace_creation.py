from typing import Any

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import (
    Denied,
    InvalidArgument,
    LimitReached,
    ModuleNotInParent,
    ModuleNotInPlan,
    NotOrgMember,
    PlaceInactive,
    PlaceSuspended,
    RoleCeiling,
    SlugTaken,
    UnknownModule,
    WorkspaceNotFound,
)
from wsauthz.model.workspaces import Branding, WorkspaceSettings
from wsauthz.store import invite_codes
from wsauthz.tenancy import organizations, workspace_creation, workspace_states
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.workspace_creation import NewOrganization

BRANDED = WorkspaceSettings(branding=Branding(logo="https://cdn.example.com/logo.png", primary_color="#00AAff"))


@pytest.mark.req("REQ-028", "REQ-040", "REQ-041", "REQ-093")
def test_a_workspace_belongs_to_its_creator(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    created = oneglanse.write(
        "ann",
        workspace_creation.create,
        organization_id=roof.id,
        name="  Marketing Team ",
        domain="acme.com",
        description="What\nwe do",
        image_url="https://cdn.example.com/a.png",
        website="https://acme.com",
        phone="+1 555",
    )
    workspace = created.workspace
    assert created.organization is None
    assert (workspace.owner_user_id, workspace.organization_id, workspace.parent_workspace_id) == ("ann", roof.id, None)
    assert (workspace.name, workspace.slug, workspace.description) == (
        "Marketing Team",
        "marketing-team",
        "What\nwe do",
    )
    assert (workspace.schedule, workspace.deleted_at, workspace.enabled_providers) == (None, None, None)
    assert workspace.modules == ("analysis",)
    assert workspace.created_at == workspace.updated_at
    member = oneglanse.member(workspace, "ann")
    assert member is not None
    assert (member.role, member.modules, member.is_active) == ("owner", None, True)


@pytest.mark.req("REQ-007", "REQ-028", "REQ-003")
def test_every_workspace_has_an_invite_code_of_its_own(dam: World) -> None:
    parent = dam.workspace("ann")
    workspaces = [parent, dam.child("ann", parent), dam.workspace("bob")]
    codes = [dam.row(invite_codes.find, workspace.id) for workspace in workspaces]
    texts = {code[0] for code in codes if code is not None and code[1]}
    assert len(texts) == 3
    assert all(len(text) == 20 and set(text) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for text in texts)
    assert all(len(workspace.id) == len("workspace_") + 16 for workspace in workspaces)


@pytest.mark.req("REQ-027", "REQ-043")
def test_the_first_workspace_is_the_first_as_long_as_one_is_in_none(dam: World) -> None:
    dam.organization("ann")  # not a workspace
    first = dam.write("ann", workspace_creation.create, name="One")
    second = dam.write("ann", workspace_creation.create, name="Two")
    assert (first.is_first_workspace, second.is_first_workspace) == (True, False)


@pytest.mark.req("REQ-042")
def test_a_foreign_organization_and_an_unknown_one_are_refused_alike(dam: World) -> None:
    roof = dam.organization("ann")
    before = dam.revision
    texts = set()
    for actor, organization_id in (("bob", roof.id), ("bob", "organization_nowhere"), ("op", roof.id)):
        with pytest.raises(NotOrgMember) as refused:
            dam.write(actor, workspace_creation.create, name="One", organization_id=organization_id)
        texts.add(str(refused.value))
    assert len(texts) == 1
    assert dam.revision == before


def test_a_workspace_can_be_created_with_its_organization(oneglanse: World) -> None:
    for user in ("ann", "bob"):
        oneglanse.user(user)
    created = oneglanse.write("ann", workspace_creation.create, name="Team", new_organization=NewOrganization())
    roof = created.organization
    assert roof is not None
    assert (roof.name, roof.slug, created.workspace.organization_id) == ("Team", "team", roof.id)
    member = oneglanse.member(roof, "ann")
    assert member is not None
    assert member.role == "owner"
    named = NewOrganization(name="Acme", slug="acme")
    created = oneglanse.write("ann", workspace_creation.create, name="Team", new_organization=named)
    assert created.organization is not None
    assert (created.organization.name, created.organization.slug) == ("Acme", "acme")
    before = oneglanse.revision
    with pytest.raises(SlugTaken):
        oneglanse.write("bob", workspace_creation.create, name="Team", new_organization=named)
    assert oneglanse.revision == before


def test_what_a_new_organization_is_given_is_checked(oneglanse: World) -> None:
    oneglanse.user("ann")
    wrong = {
        "new_organization.name": NewOrganization(name="x" * 256),
        "new_organization.slug": NewOrganization(slug="!"),
    }
    for field, new in wrong.items():
        with pytest.raises(InvalidArgument) as refused:
            oneglanse.write("ann", workspace_creation.create, name="Team", new_organization=new)
        assert refused.value.field == field
    with pytest.raises(InvalidArgument) as refused:
        oneglanse.write("ann", workspace_creation.create, name="", new_organization=NewOrganization())
    assert refused.value.field == "name"


def test_an_organization_that_may_not_be_created_is_refused(dam: World) -> None:
    with pytest.raises(Denied) as refused:  # everybody who is a known user may
        dam.write("stranger", workspace_creation.create, name="Team", new_organization=NewOrganization())
    assert refused.value.reason == "NOT_A_MEMBER"
    dam.write("", upsert, UserEvent(user_id="stranger"))
    dam.write("stranger", workspace_creation.create, name="Team", new_organization=NewOrganization())


@pytest.mark.req("REQ-086")
def test_generated_slugs_avoid_those_of_the_organization(dam: World) -> None:
    roof = dam.organization("ann")

    def slug(name: str, **values: Any) -> str:
        return dam.workspace("ann", name, organization_id=roof.id, **values).slug

    assert [slug("Marketing Team") for _ in range(3)] == ["marketing-team", "marketing-team-2", "marketing-team-3"]
    assert slug("Any", slug="Marketing Team 4") == "marketing-team-4"
    assert slug("日本") == "workspace"
    with pytest.raises(SlugTaken):
        slug("Any", slug="marketing-team")
    other = dam.organization("ann", "Other")
    assert dam.workspace("ann", "Marketing Team", organization_id=other.id).slug == "marketing-team"
    assert [dam.workspace("ann", "Alone").slug for _ in range(2)] == ["alone", "alone"]


def test_a_child_shares_the_slugs_of_its_organization(dam: World) -> None:
    roof = dam.organization("ann")
    parent = dam.workspace("ann", "Team", organization_id=roof.id)
    child = dam.child("ann", parent, "Team")
    assert (child.slug, child.organization_id, child.parent_workspace_id) == ("team-2", roof.id, parent.id)
    with pytest.raises(SlugTaken):
        dam.child("ann", parent, "Other", slug="team")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": "a\x07b"}, "name"),
    ({"slug": "x" * 101}, "slug"),
    ({"domain": "x" * 257}, "domain"),
    ({"description": "x" * 10_001}, "description"),
    ({"description": "a\0b"}, "description"),
    ({"image_url": "x" * 2_049}, "image_url"),
    ({"website": "x" * 256}, "website"),
    ({"phone": "1" * 51}, "phone"),
    ({"settings": WorkspaceSettings(branding=Branding(primary_color="red"))}, "settings.branding.primary_color"),
    ({"settings": WorkspaceSettings(branding=Branding(logo="x" * 2_049))}, "settings.branding.logo"),
    ({"settings": WorkspaceSettings(features={"a b": True})}, "settings.features"),
    ({"settings": WorkspaceSettings(features={f"f{n}": True for n in range(101)})}, "settings.features"),
    ({"module_list": ["crm"]}, "modules"),
    ({"module_list": ["dam", "dam"]}, "modules"),
]


@pytest.mark.req("REQ-004", "REQ-009", "REQ-010", "REQ-091")
def test_what_a_workspace_is_given_is_checked(dam: World) -> None:
    dam.known("ann")
    for values, field in WRONG:
        with pytest.raises(InvalidArgument) as refused:
            dam.write("ann", workspace_creation.create, **{"name": "Studio", **values})
        assert refused.value.field == field


@pytest.mark.req("REQ-139", "REQ-141", "REQ-142")
def test_the_creator_of_a_child_owns_it(dam: World) -> None:
    parent = dam.workspace("ann")
    dam.add("ann", parent, "bob", "admin")
    features = WorkspaceSettings(features={"custom_fields": True})
    child = dam.child("bob", parent, module_list=["dam"], settings=features)
    assert (child.owner_user_id, child.parent_workspace_id, child.modules) == ("bob", parent.id, ("dam",))
    assert child.settings.features == {"custom_fields": True}
    member = dam.member(child, "bob")
    assert member is not None
    assert member.role == "admin"
    assert dam.may("bob", child, "workspace", "transfer")


def test_a_child_has_the_modules_of_its_parent_that_its_creator_holds(dam: World) -> None:
    parent = dam.workspace("ann", module_list=["analytics", "dam"])
    dam.add("ann", parent, "bob", "admin", modules=["dam", "collaboration"])
    assert dam.child("ann", parent).modules == ("dam", "analytics")
    assert dam.child("bob", parent).modules == ("dam",)
    assert dam.child("bob", parent, module_list=[]).modules == ()
    with pytest.raises(UnknownModule):
        dam.child("bob", parent, module_list=["crm"])
    with pytest.raises(ModuleNotInParent):
        dam.child("ann", parent, module_list=["collaboration"])
    with pytest.raises(RoleCeiling):
        dam.child("bob", parent, module_list=["analytics"])


def test_the_right_to_create_a_child_must_itself_include_its_modules(dam: World) -> None:
    top = dam.workspace("ann", module_list=["analytics", "dam"])
    parent = dam.child("ann", top)
    dam.add("ann", top, "bob", "admin", modules=["dam"])
    dam.add("ann", parent, "bob", "viewer")
    with pytest.raises(RoleCeiling):
        dam.child("bob", parent, module_list=["dam", "analytics"])
    assert dam.child("bob", parent).modules == ("dam",)
    assert dam.child("bob", parent, module_list=["dam"]).modules == ("dam",)


def test_a_childs_modules_lie_within_its_plan(dam: World) -> None:
    parent = dam.workspace("ann")
    dam.subscribe(parent, "free")
    with pytest.raises(ModuleNotInPlan):
        dam.child("ann", parent, module_list=["dam", "analytics"])


@pytest.mark.parametrize(
    ("state", "refusal"), [(workspace_states.suspend, PlaceSuspended), (workspace_states.deactivate, PlaceInactive)]
)
def test_nothing_is_created_below_what_cannot_be_used(dam: World, state: Any, refusal: type[Exception]) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.write("op", state, workspace_id=parent.id)
    for above in (parent, child):
        with pytest.raises(refusal):
            dam.child("ann", above)
    with pytest.raises(WorkspaceNotFound):
        dam.write("ann", workspace_creation.create_child, parent_workspace_id="nowhere", name="Child")


def test_nothing_is_created_in_a_suspended_organization(dam: World) -> None:
    roof = dam.organization("ann")
    dam.write("op", organizations.suspend, organization_id=roof.id)
    with pytest.raises(PlaceSuspended):
        dam.workspace("ann", organization_id=roof.id)


def test_a_tree_has_at_most_sixteen_levels(dam: World) -> None:
    workspace = dam.workspace("ann")
    for _ in range(15):
        workspace = dam.child("ann", workspace)
    with pytest.raises(LimitReached) as refused:
        dam.child("ann", workspace)
    assert "depth" in str(refused.value)
    assert len(dam.replica.facts.places[key(workspace)].chain) == 17


def test_a_parent_and_an_owner_have_as_many_workspaces_as_the_catalog_says(narrow: World) -> None:
    parent = narrow.workspace("ann")
    for name in ("One", "Two"):
        narrow.child("ann", parent, name)
    with pytest.raises(LimitReached) as refused:
        narrow.child("op", parent)
    assert "children_per_parent" in str(refused.value)
    with pytest.raises(LimitReached) as refused:
        narrow.workspace("ann")
    assert "workspaces_per_owner" in str(refused.value)
    narrow.workspace("bob")


def test_who_creates_a_child_becomes_a_member_of_the_organization(dam: World) -> None:
    roof = dam.organization("ann")
    parent = dam.workspace("ann", organization_id=roof.id)
    dam.enrol(parent, "bob", "admin")
    dam.child("bob", parent)
    assert dam.member(roof, "bob") is not None


def test_who_is_limited_in_an_organization_creates_workspaces_within_the_limit(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    oneglanse.add("ann", roof, "bob", "member", modules=[])
    assert oneglanse.workspace("bob", "A", organization_id=roof.id).modules == ()
    with pytest.raises(RoleCeiling):
        oneglanse.workspace("bob", "B", organization_id=roof.id, module_list=["analysis"])
    oneglanse.add("ann", roof, "eve", "member")
    assert oneglanse.workspace("eve", "C", organization_id=roof.id).modules == ("analysis",)


def test_creating_a_workspace_lifts_no_limit_of_a_derived_membership(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    studio = oneglanse.workspace("ann", organization_id=roof.id)
    oneglanse.add("ann", studio, "bob", "member", modules=[])
    held = oneglanse.member(roof, "bob")
    assert held is not None
    assert (held.modules, held.is_derived) == ((), True)
    for name in ("A", "B"):  # a workspace of one's own is a way in without a limit
        assert oneglanse.workspace("bob", name, organization_id=roof.id).modules == ()
        held = oneglanse.member(roof, "bob")
        assert held is not None
        assert held.modules == ()
    oneglanse.update("ann", studio, "bob", modules=None)
    held = oneglanse.member(roof, "bob")
    assert held is not None
    assert held.modules == ()


def test_creating_a_child_lifts_no_limit_of_a_derived_membership(dam: World) -> None:
    roof = dam.organization("ann")
    parent = dam.workspace("ann", organization_id=roof.id)
    dam.add("ann", parent, "bob", "admin", modules=["dam"])
    dam.child("bob", parent)
    held = dam.member(roof, "bob")
    assert held is not None
    assert (held.modules, held.expires_at) == (("dam",), None)


@pytest.mark.req("REQ-081")
def test_branding_a_new_workspace_needs_the_plan_that_changing_it_needs(dam: World) -> None:
    dam.known("ann")
    before = dam.revision
    with pytest.raises(Denied) as refused:
        dam.workspace("ann", settings=BRANDED)
    assert refused.value.reason == "PLAN_FEATURE_MISSING"
    with pytest.raises(Denied):
        dam.write("op", workspace_creation.create, name="One", settings=BRANDED, new_organization=NewOrganization())
    assert dam.revision == before
    parent = dam.workspace("ann")
    with pytest.raises(Denied):
        dam.child("ann", parent, settings=BRANDED)
    dam.subscribe(parent, "professional")
    assert dam.child("ann", parent, settings=BRANDED).settings == BRANDED


def test_branding_is_free_where_there_are_no_plans(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    for organization_id in ("", roof.id):
        assert oneglanse.workspace("ann", settings=BRANDED, organization_id=organization_id).settings == BRANDED
