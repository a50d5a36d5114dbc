from dataclasses import replace

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import InvalidArgument, OrganizationNotFound, SlugTaken, WorkspaceNotFound
from wsauthz.model.identifiers import slugify
from wsauthz.model.places import State
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import organizations


def test_the_creator_of_an_organization_gets_the_highest_owner_like_role(dam: World) -> None:
    roof = dam.organization("ann", "  Acme, Inc.  ")
    found = dam.member(roof, "ann")
    assert found is not None
    assert (roof.name, roof.slug, found.role) == ("Acme, Inc.", "acme-inc", "organization-owner")
    assert roof.id.startswith("organization_")


def test_slugs_of_organizations_are_unique(dam: World) -> None:
    slugs = [dam.organization("ann", name).slug for name in ("Acme", "ACME!", "acme", "日本")]
    assert slugs == ["acme", "acme-2", "acme-3", "organization"]
    assert dam.organization("ann", "Other", slug="The Others").slug == "the-others"
    dam.known("bob")
    before = dam.revision
    with pytest.raises(SlugTaken) as refused:
        dam.organization("bob", "Another", slug="ACME")
    assert "'acme'" in str(refused.value)
    assert dam.revision == before


def test_names_and_slugs_of_organizations_are_checked(dam: World) -> None:
    for name, slug in (("", ""), ("   ", ""), ("x" * 256, ""), ("a\nb", ""), ("A", "!!!")):
        with pytest.raises(InvalidArgument) as refused:
            dam.organization("ann", name, slug=slug)
        assert refused.value.field == ("slug" if slug else "name")


def test_suspending_an_organization_suspends_what_is_below_and_nothing_is_rewritten(dam: World) -> None:
    roof = dam.organization("ann")
    workspace = dam.workspace("ann", organization_id=roof.id)
    suspended = dam.write("op", organizations.suspend, organization_id=roof.id)
    assert suspended.is_suspended
    assert dam.replica.facts.places[key(workspace)].state == State.SUSPENDED
    assert dam.read("ann", organizations.get, organization_id=roof.id) == (suspended, State.SUSPENDED)
    before = dam.revision
    assert dam.write("op", organizations.suspend, organization_id=roof.id) == suspended
    assert dam.revision == before
    dam.write("op", organizations.reinstate, organization_id=roof.id)
    assert dam.replica.facts.places[key(workspace)].state == State.ACTIVE
    before = dam.revision
    dam.write("op", organizations.reinstate, organization_id=roof.id)
    assert dam.revision == before


def test_an_unknown_organization_is_not_found(dam: World) -> None:
    for function in (organizations.suspend, organizations.reinstate):
        with pytest.raises(OrganizationNotFound):
            dam.write("op", function, organization_id="nowhere")
    with pytest.raises(OrganizationNotFound):
        dam.read("op", organizations.get, organization_id="nowhere")


def test_a_user_lists_its_organizations_page_by_page(dam: World) -> None:
    roofs = sorted(dam.organization("ann", name).id for name in ("One", "Two", "Three"))
    dam.organization("bob")
    shared = dam.organization("bob", "Shared")
    dam.add("bob", shared, "ann")
    dam.update("bob", shared, "ann", is_active=False)
    found, more = dam.read("ann", organizations.list_of_user, after="", limit=3)
    rest, no_more = dam.read("ann", organizations.list_of_user, after=found[-1].organization.id, limit=3)
    assert (len(found), more, len(rest), no_more) == (3, True, 1, False)
    listed = {each.organization.id: each.role for each in found + rest}
    assert listed == {**dict.fromkeys(roofs, "organization-owner"), shared.id: "member"}
    assert [each.organization.id for each in found + rest] == sorted(listed)


@pytest.mark.req("REQ-060")
def test_a_workspace_that_one_may_not_view_feeds_no_slug(dam: World) -> None:
    roof = dam.organization("ann")
    child = dam.child("ann", dam.workspace("ann", organization_id=roof.id))
    before = dam.revision
    with pytest.raises(WorkspaceNotFound):
        dam.write("bob", organizations.rename, organization_id=roof.id, name="New", workspace_id=child.id)
    assert dam.revision == before
    renamed = dam.write("ann", organizations.rename, organization_id=roof.id, name="New", workspace_id=child.id)
    assert renamed.slug == f"new-{slugify(child.id, '')}"
    assert dam.read("ann", organizations.get, organization_id=roof.id)[0] == renamed


@pytest.mark.req("REQ-060")
def test_the_id_of_an_imported_workspace_may_be_anything(dam: World) -> None:
    roof = dam.organization("ann", "N" * 255)
    workspace = dam.workspace("ann", organization_id=roof.id)
    for number, imported in enumerate(("_", "x" * 128, "-".join("y" * 64))):
        with dam.database.write() as connection:
            workspace_rows.add(connection, replace(workspace, id=imported, slug=f"imported-{number}"))
        dam.replica.load()
        values = {"organization_id": roof.id, "name": "N" * 255, "workspace_id": imported}
        slug = dam.write("ann", organizations.rename, **values).slug
        assert len(slug) <= 100
        assert slug == slugify(slug, "")
        assert slug.startswith("n" * 49)
        assert slug.endswith(("-workspace", "-" + "x" * 50, "-" + "-".join("y" * 25))), slug
