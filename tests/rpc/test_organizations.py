from typing import Any

import grpc
import pytest

from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import organizations_pb2 as pb
from wsauthz.v1 import places_pb2, workspaces_pb2
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
