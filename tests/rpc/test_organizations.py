from typing import Any

import grpc
import pytest

from tests.rpc.streams import number
from tests.rpc.tables import found
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.model.identifiers import slugify
from wsauthz.v1 import invitations_pb2, places_pb2, users_pb2, workspaces_pb2
from wsauthz.v1 import organizations_pb2 as pb
from wsauthz.v1.memberships_pb2 import LeaveRequest


def create(tenants: Tenants, actor: str, **fields: Any) -> pb.CreateOrganizationResponse:
    return tenants.client(actor).organizations.CreateOrganization(pb.CreateOrganizationRequest(**fields))


def get(tenants: Tenants, actor: str, organization: str) -> pb.GetOrganizationResponse:
    return tenants.client(actor).organizations.GetOrganization(pb.GetOrganizationRequest(organization_id=organization))


def not_found(tenants: Tenants, actor: str, organization: str) -> Refusal:
    request = pb.GetOrganizationRequest(organization_id=organization)
    return refusal(tenants.client(actor).organizations.GetOrganization, request)


def test_the_creator_becomes_the_first_owner(dam: Tenants) -> None:
    user = dam.user()
    answer = create(dam, user, name="  Blue Sky, Inc. ", slug="")
    assert answer.organization.id.startswith("organization_")
    assert len(answer.organization.id) == len("organization_") + 16
    assert answer.organization.name == "Blue Sky, Inc."
    assert answer.organization.slug.startswith("blue-sky-inc")
    assert not answer.organization.is_suspended
    mine = dam.client(user).organizations.ListUserOrganizations(pb.ListUserOrganizationsRequest()).organizations
    assert [(item.organization.id, item.role) for item in mine] == [(answer.organization.id, "organization-owner")]


def test_a_generated_slug_gives_way(dam: Tenants) -> None:
    user = dam.user()
    first, second, third = (create(dam, user, name="Way Out").organization.slug for _ in range(3))
    assert (first, second, third) == ("way-out", "way-out-2", "way-out-3")


def test_a_taken_slug_is_refused(dam: Tenants) -> None:
    user = dam.user()
    create(dam, user, name="Mine", slug="mine-alone")
    request = pb.CreateOrganizationRequest(name="Other", slug="mine-alone")
    refused = refusal(dam.client(dam.user()).organizations.CreateOrganization, request)
    assert (refused.code, refused.reason, refused.kind) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "SLUG_TAKEN",
        "ValidationError",
    )


@pytest.mark.parametrize("name", ["", "   ", "x" * 256])
def test_a_name_has_1_to_255_characters(dam: Tenants, name: str) -> None:
    refused = refusal(dam.client(dam.user()).organizations.CreateOrganization, pb.CreateOrganizationRequest(name=name))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("name",))


def test_an_unknown_user_creates_none(dam: Tenants) -> None:
    refused = refusal(
        dam.client("nobody-yet").organizations.CreateOrganization, pb.CreateOrganizationRequest(name="Acme")
    )
    assert (refused.code, refused.reason, refused.kind) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_A_MEMBER",
        "AuthError",
    )


def test_members_view_the_organization(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner)
    member = dam.member(owner, organization=organization.id)
    assert get(dam, member, organization.id).organization == organization
    assert get(dam, member, organization.id).state == places_pb2.STATE_ACTIVE


def test_a_foreign_organization_is_as_unknown_as_no_organization(dam: Tenants) -> None:
    organization, stranger = dam.organization(dam.user()), dam.user()
    foreign = not_found(dam, stranger, organization.id)
    assert foreign == not_found(dam, stranger, "organization_AAAAAAAAAAAAAAAA")
    assert (foreign.code, foreign.reason, foreign.kind) == (
        grpc.StatusCode.NOT_FOUND,
        "ORGANIZATION_NOT_FOUND",
        "NotFoundError",
    )


@pytest.mark.parametrize("organization", ["", "a b", "a/b", "*"])
def test_a_malformed_id_is_refused(dam: Tenants, organization: str) -> None:
    refused = not_found(dam, OPERATOR, organization)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("organization_id",))


def test_an_operator_suspends_and_reinstates_everything_in_it(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    workspace = dam.workspace(owner, organization_id=organization).id
    child = dam.child(owner, workspace).id
    operator = dam.operator.organizations
    suspended = operator.SuspendOrganization(pb.SuspendOrganizationRequest(organization_id=organization))
    assert suspended.organization.is_suspended
    assert get(dam, owner, organization).state == places_pb2.STATE_SUSPENDED
    denial = dam.check(owner, child, "dam:asset read").denial
    assert (denial.reason, denial.blocked_by.organization_id) == ("WORKSPACE_SUSPENDED", organization)
    found = dam.client(owner).workspaces.GetWorkspace(workspaces_pb2.GetWorkspaceRequest(workspace_id=child))
    assert (found.state, found.suspended_by.organization_id) == (places_pb2.STATE_SUSPENDED, organization)
    assert not found.workspace.is_suspended
    reinstated = operator.ReinstateOrganization(pb.ReinstateOrganizationRequest(organization_id=organization))
    assert not reinstated.organization.is_suspended
    assert dam.reason(owner, child, "dam:asset read") == ""


def test_repeating_it_changes_nothing(dam: Tenants) -> None:
    organization = dam.organization(dam.user()).id
    operator = dam.operator.organizations
    request = pb.SuspendOrganizationRequest(organization_id=organization)
    first = operator.SuspendOrganization(request)
    assert operator.SuspendOrganization(request) == first
    back = pb.ReinstateOrganizationRequest(organization_id=organization)
    assert operator.ReinstateOrganization(back) == operator.ReinstateOrganization(back)


def test_its_own_owner_neither_suspends_nor_reinstates(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    client = dam.client(owner).organizations
    for method, request in (
        (client.SuspendOrganization, pb.SuspendOrganizationRequest(organization_id=organization)),
        (client.ReinstateOrganization, pb.ReinstateOrganizationRequest(organization_id=organization)),
    ):
        refused = refusal(method, request)
        assert (refused.code, refused.reason, refused.kind) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "ROLE_INSUFFICIENT",
            "AuthError",
        )


def test_suspending_a_foreign_organization_is_suspending_none(dam: Tenants) -> None:
    organization, stranger = dam.organization(dam.user()).id, dam.user()
    client = dam.client(stranger).organizations
    foreign = refusal(client.SuspendOrganization, pb.SuspendOrganizationRequest(organization_id=organization))
    unknown = refusal(client.SuspendOrganization, pb.SuspendOrganizationRequest(organization_id="organization_none"))
    assert foreign == unknown
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "ORGANIZATION_NOT_FOUND")


def test_the_organizations_of_a_user_come_in_pages(dam: Tenants) -> None:
    user = dam.user()
    made = sorted(dam.organization(user, f"Page {number}").id for number in range(5))
    client = dam.client(user).organizations
    found: list[str] = []
    token = ""
    while True:
        page = client.ListUserOrganizations(pb.ListUserOrganizationsRequest(page_size=2, page_token=token))
        assert len(page.organizations) <= 2
        found += [item.organization.id for item in page.organizations]
        token = page.next_page_token
        if not token:
            break
    assert found == made


def test_an_organization_left_is_not_listed(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    member = dam.member(owner, organization=organization)
    client = dam.client(member)
    assert len(client.organizations.ListUserOrganizations(pb.ListUserOrganizationsRequest()).organizations) == 1
    client.memberships.Leave(LeaveRequest(organization_id=organization))
    assert not client.organizations.ListUserOrganizations(pb.ListUserOrganizationsRequest()).organizations


# --- UpdateOrganizationName -------------------------------------------------------------------------------------------


def rename(
    tenants: Tenants, actor: str, organization: str, name: str, **fields: Any
) -> pb.UpdateOrganizationNameResponse:
    request = pb.UpdateOrganizationNameRequest(organization_id=organization, name=name, **fields)
    return tenants.client(actor).organizations.UpdateOrganizationName(request)


def renaming(tenants: Tenants, actor: str, organization: str, name: str = "New", **fields: Any) -> Refusal:
    request = pb.UpdateOrganizationNameRequest(organization_id=organization, name=name, **fields)
    return refusal(tenants.client(actor).organizations.UpdateOrganizationName, request)


@pytest.mark.req("REQ-060")
def test_a_new_name_makes_a_slug_that_ends_with_the_workspace(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    made = oneglanse.organization(owner)
    first, second = (oneglanse.workspace(owner, organization_id=made.id).id for _ in range(2))
    renamed = rename(oneglanse, owner, made.id, "  Acme & Sons ", workspace_id=first).organization
    assert (renamed.name, renamed.slug) == ("Acme & Sons", f"acme-sons-{slugify(first, '')}")
    assert renamed.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert get(oneglanse, owner, made.id).organization == renamed
    other = rename(oneglanse, owner, made.id, "Acme & Sons", workspace_id=second).organization
    assert other.slug == f"acme-sons-{slugify(second, '')}"


@pytest.mark.req("REQ-060")
def test_renaming_again_changes_nothing(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    workspace = oneglanse.workspace(owner, organization_id=organization).id
    for fields in ({"workspace_id": workspace}, {}):
        first = rename(oneglanse, owner, organization, "Fixed Point", **fields)
        before = oneglanse.revision
        assert rename(oneglanse, owner, organization, " Fixed Point", **fields) == first
        assert oneglanse.revision == before == first.revision


@pytest.mark.req("REQ-060")
def test_a_name_without_latin_letters_still_makes_a_slug(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    workspace = oneglanse.workspace(owner, organization_id=organization).id
    renamed = rename(oneglanse, owner, organization, "日本", workspace_id=workspace).organization
    assert (renamed.name, renamed.slug) == ("日本", f"organization-{slugify(workspace, '')}")


def test_without_a_workspace_a_taken_slug_gives_way(dam: Tenants) -> None:
    owner = dam.user()
    taken, renamed = dam.organization(owner, "Numbered").slug, dam.organization(owner, "Other").id
    assert taken == "numbered"
    assert rename(dam, owner, renamed, "Numbered!").organization.slug == "numbered-2"
    assert rename(dam, owner, renamed, "Numbered").organization.slug == "numbered-2"  # its own is not taken
    assert rename(dam, owner, renamed, "Numbered Differently").organization.slug == "numbered-differently"
    assert dam.organization(owner, "Numbered").slug == "numbered-2"  # the old one is free at once


@pytest.mark.req("REQ-060")
def test_a_slug_has_at_most_100_characters(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    workspace = oneglanse.workspace(owner, organization_id=organization).id
    long = rename(oneglanse, owner, organization, "m" * 255, workspace_id=workspace)
    assert len(long.organization.slug) == 100
    assert long.organization.slug.endswith(f"-{slugify(workspace, '')}")
    assert len(rename(oneglanse, owner, organization, "x" * 255).organization.slug) <= 100


@pytest.mark.req("REQ-060")
def test_only_a_workspace_of_the_organization_feeds_the_slug(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    elsewhere = oneglanse.workspace(owner, organization_id=oneglanse.organization(owner).id).id
    others = oneglanse.workspace(oneglanse.user()).id
    before = oneglanse.revision
    answers = {
        renaming(oneglanse, owner, organization, workspace_id=each).message
        for each in (elsewhere, others, oneglanse.workspace(owner).id, "workspace_none")
    }
    assert answers == {"Workspace not found"}
    refused = renaming(oneglanse, owner, organization, workspace_id=others)
    assert refused == renaming(oneglanse, owner, organization, workspace_id="workspace_none")
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert renaming(oneglanse, owner, organization, workspace_id="a b").fields == ("workspace_id",)
    assert number(oneglanse.revision) == number(before) + 1  # the stand-alone workspace


def test_a_slug_that_somebody_took_is_not_given_twice(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    workspace = oneglanse.workspace(owner, organization_id=organization).id
    create(oneglanse, oneglanse.user(), name="Squatter", slug=f"wanted-{slugify(workspace, '')}")
    refused = renaming(oneglanse, owner, organization, "Wanted", workspace_id=workspace)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SLUG_TAKEN")


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\nb"])
def test_a_new_name_has_1_to_255_characters(dam: Tenants, name: str) -> None:
    owner = dam.user()
    refused = renaming(dam, owner, dam.organization(owner).id, name)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("name",))


@pytest.mark.req("REQ-060")
def test_members_rename_nothing(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    member = oneglanse.member(owner, organization=organization)
    refused = renaming(oneglanse, member, organization)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    stranger = oneglanse.user()
    assert renaming(oneglanse, stranger, organization) == renaming(oneglanse, stranger, "organization_none")
    assert renaming(oneglanse, stranger, organization).reason == "ORGANIZATION_NOT_FOUND"


# --- DeleteOrganization -----------------------------------------------------------------------------------------------


def delete(tenants: Tenants, actor: str, organization: str, **fields: Any) -> pb.DeleteOrganizationResponse:
    request = pb.DeleteOrganizationRequest(organization_id=organization, **fields)
    return tenants.client(actor).organizations.DeleteOrganization(request)


def deleting(tenants: Tenants, actor: str, organization: str) -> Refusal:
    request = pb.DeleteOrganizationRequest(organization_id=organization)
    return refusal(tenants.client(actor).organizations.DeleteOrganization, request)


def test_an_organization_goes_with_everything_in_it(dam: Tenants) -> None:
    owner = dam.user()
    made = dam.organization(owner, "Doomed")
    kept = dam.workspace(owner, organization_id=dam.organization(owner, "Kept").id).id
    roots = [dam.workspace(owner, organization_id=made.id).id for _ in range(2)]
    child = dam.child(owner, roots[0]).id
    going = [*roots, child]
    member = dam.member(owner, child)
    request = invitations_pb2.CreateInvitationRequest(workspace_id=child, email="guest@example.com")
    token = dam.client(owner).invitations.CreateInvitation(request).token
    for user, default in ((member, child), (owner, kept)):
        dam.client(user).users.UpdateProfile(users_pb2.UpdateProfileRequest(default_workspace_id=default))
    assert delete(dam, owner, made.id).deleted_workspaces == 3
    for workspace in going:
        assert dam.reason(owner, workspace) == "WORKSPACE_NOT_FOUND"
    assert dam.reason(owner, kept) == ""
    assert not_found(dam, owner, made.id).reason == "ORGANIZATION_NOT_FOUND"
    listed = ", ".join(f"'{workspace}'" for workspace in going)
    live = "deleted_at IS NULL"
    assert not found(dam, f"SELECT id FROM workspaces WHERE id IN ({listed}) AND {live}")
    assert not found(dam, f"SELECT id FROM memberships WHERE workspace_id IN ({listed}) AND {live}")
    assert not found(dam, f"SELECT id FROM memberships WHERE organization_id = '{made.id}' AND {live}")
    assert not found(dam, f"SELECT code FROM invite_codes WHERE workspace_id IN ({listed})")
    assert not found(dam, f"SELECT id FROM invitations WHERE workspace_id IN ({listed}) AND revoked_at IS NULL")
    users = found(dam, f"SELECT id, default_workspace_id FROM users WHERE id IN ('{member}', '{owner}')")
    assert {user["id"]: user["default_workspace_id"] for user in users} == {member: None, owner: kept}
    preview = invitations_pb2.GetInvitationRequest(token=token)
    assert refusal(dam.client(member).invitations.GetInvitation, preview).reason == "INVITATION_NOT_FOUND"
    mine = dam.client(member).organizations.ListUserOrganizations(pb.ListUserOrganizationsRequest())
    assert not mine.organizations
    assert dam.organization(owner, "Doomed").slug == made.slug


def test_it_is_not_deleted_again_but_answered_again(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    dam.workspace(owner, organization_id=organization)
    answer = delete(dam, owner, organization, request_id="once")
    before = dam.revision
    assert delete(dam, owner, organization, request_id="once") == answer
    assert deleting(dam, owner, organization).reason == "ORGANIZATION_NOT_FOUND"
    assert dam.revision == before


def test_an_organization_without_workspaces_goes(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    assert delete(oneglanse, OPERATOR, organization).deleted_workspaces == 0
    assert not_found(oneglanse, owner, organization).reason == "ORGANIZATION_NOT_FOUND"


def test_its_members_do_not_delete_it(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    member, stranger = oneglanse.member(owner, organization=organization), oneglanse.user()
    refused = deleting(oneglanse, member, organization)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    assert deleting(oneglanse, stranger, organization) == deleting(oneglanse, stranger, "organization_none")
    assert deleting(oneglanse, stranger, "").fields == ("organization_id",)
