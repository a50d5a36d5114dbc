"""Workspaces by their slugs: CheckRoute where the catalog takes them, and ResolveWorkspace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase, serving, sqlite_database
from tests.rpc.tenants import STATE, Tenants
from tests.serving import Refusal, attempt
from wsauthz.v1 import authorization_pb2, workspaces_pb2

LOOKUPS = "\n[lookups]\nby_slug = true\n"
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
AMBIGUOUS = (grpc.StatusCode.FAILED_PRECONDITION, "SLUG_AMBIGUOUS")

WORLD: dict[str, Any] = {
    **STATE,
    "users": [{"id": each} for each in ("ann", "bob", "cid", "eve")],
    "organizations": [
        {"id": "one", "slug": "acme"},
        {"id": "two", "slug": "zeta"},
        {"id": "acme", "slug": "third"},
        {"id": "four", "slug": "four"},
    ],
    "workspaces": [
        {"id": "w1", "organization": "one", "owner": "ann", "slug": "marketing"},
        {"id": "w2", "organization": "two", "owner": "eve", "slug": "marketing"},
        {"id": "w3", "organization": "acme", "owner": "eve", "slug": "marketing"},
        {"id": "w4", "organization": "one", "owner": "ann", "slug": "sales", "is_active": False},
        {"id": "sales", "organization": "two", "owner": "eve", "slug": "hall"},
        {"id": "alone", "owner": "ann", "slug": "studio"},
        {"id": "theirs", "owner": "eve", "slug": "studio"},
        {"id": "n1", "parent": "alone", "owner": "ann", "slug": "north"},
        {"id": "n2", "parent": "theirs", "owner": "eve", "slug": "north"},
        {"id": "both-1", "owner": "cid", "slug": "both"},
        {"id": "both-2", "owner": "cid", "slug": "both"},
        {"id": "east-1", "parent": "both-1", "owner": "cid", "slug": "east"},
        {"id": "west-2", "parent": "both-2", "owner": "cid", "slug": "west"},
        {"id": "east-2", "parent": "west-2", "owner": "cid", "slug": "east"},
    ],
    "memberships": [
        *STATE["memberships"],
        {"organization": "two", "user": "bob", "role": "member"},
        {"workspace": "w1", "user": "bob", "role": "viewer"},
        {"workspace": "alone", "user": "bob", "role": "admin"},
        {"workspace": "n2", "user": "cid", "role": "viewer"},
        {"workspace": "theirs", "user": "bob", "role": "viewer", "is_active": False},
        {"workspace": "w3", "user": "cid", "role": "viewer", "is_active": False},
    ],
}


@pytest.fixture(scope="module")
def named(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server of a dam bundle that takes slugs."""
    bundle = copy_bundle("dam", tmp_path_factory.mktemp("bundle"), catalog=LOOKUPS)
    with serving(make_database(), str(bundle), WORLD) as tenants:
        yield tenants


def route(tenants: Tenants, subject: str, workspace: str, **fields: Any) -> authorization_pb2.CheckRouteResponse:
    request = authorization_pb2.CheckRouteRequest(subject=subject, workspace_id=workspace, **fields)
    return tenants.client().authorization.CheckRoute(request)


def opened(tenants: Tenants, subject: str, workspace: str, **fields: Any) -> str:
    """Return the id of the workspace whose page is opened, or why none is."""
    answer = route(tenants, subject, workspace, **fields)
    assert (answer.decision == authorization_pb2.DECISION_ALLOW) == (not answer.HasField("denial"))
    return answer.denial.reason or answer.workspace_id


def resolved(tenants: Tenants, actor: str, slug: str, organization: str = "") -> Any:
    """Return the id of the workspace, or why there is none."""
    request = workspaces_pb2.ResolveWorkspaceRequest(organization=organization, slug=slug)
    found = attempt(tenants.client(actor).workspaces.ResolveWorkspace, request)
    return (found.code, found.reason) if isinstance(found, Refusal) else found.workspace_id


# --- CheckRoute -------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-084", "REQ-086")
@pytest.mark.parametrize(
    ("subject", "workspace", "fields", "expected"),
    [
        ("bob", "marketing", {}, "w1"),  # of three that have the slug the one where he is a member
        ("eve", "marketing", {"organization": "two"}, "w2"),
        ("eve", "marketing", {"organization": "zeta"}, "w2"),
        ("eve", "marketing", {"organization": "acme"}, "w3"),  # an organization's id goes before another one's slug
        ("bob", "marketing", {"organization": "zeta"}, "NOT_A_MEMBER"),
        ("ann", "sales", {}, "NOT_A_MEMBER"),  # a workspace's id goes before another one's slug, whoever asks
        ("ann", "sales", {"organization": "one"}, "NOT_A_MEMBER"),
        ("bob", "studio", {}, "alone"),  # a role goes before a membership that does not count
        ("eve", "studio", {}, "theirs"),
        ("bob", "north", {}, "n1"),  # by a role from above
        ("cid", "north", {}, "n2"),
        ("cid", "studio", {}, "WORKSPACE_NOT_FOUND"),
        ("cid", "marketing", {}, "MEMBERSHIP_INACTIVE"),
        ("nobody", "marketing", {}, "WORKSPACE_NOT_FOUND"),
        ("root", "studio", {}, "WORKSPACE_NOT_FOUND"),  # roles at the platform name nothing
        ("root", "marketing", {"organization": "acme"}, "w3"),
        ("bob", "Marketing", {}, "WORKSPACE_NOT_FOUND"),  # exactly as it is written
        ("bob", "marketing-", {}, "WORKSPACE_NOT_FOUND"),
        ("bob", "hall", {}, "WORKSPACE_NOT_FOUND"),  # a member of the organization alone
        ("bob", "marketing", {"organization": "nowhere"}, "WORKSPACE_NOT_FOUND"),
        ("bob", "studio", {"organization": "one"}, "WORKSPACE_NOT_FOUND"),
        ("bob", "w1", {"organization": "nowhere"}, "w1"),  # an id needs none
    ],
)
def test_a_route_takes_a_slug_where_an_id_is_expected(
    named: Tenants, subject: str, workspace: str, fields: dict[str, str], expected: str
) -> None:
    assert opened(named, subject, workspace, **fields) == expected


@pytest.mark.parametrize(
    ("subject", "workspace", "parent", "expected"),
    [
        ("bob", "north", "studio", "n1"),
        ("bob", "north", "alone", "n1"),
        ("cid", "north", "studio", "n2"),  # the parent's slug, though cid is nothing there
        ("cid", "north", "alone", "WORKSPACE_NOT_FOUND"),
        ("cid", "north", "marketing", "WORKSPACE_NOT_FOUND"),
        ("bob", "north", "north", "WORKSPACE_NOT_FOUND"),
        ("cid", "east", "both", "east-1"),  # the parent tells two with one slug from each other
        ("cid", "east", "both-1", "east-1"),
        ("cid", "east", "west", "east-2"),
        ("cid", "east-2", "west", "east-2"),
        ("bob", "studio", "one", "WORKSPACE_NOT_FOUND"),
    ],
)
def test_a_parent_is_named_by_its_slug_as_well(
    named: Tenants, subject: str, workspace: str, parent: str, expected: str
) -> None:
    guards = ["can-access-child-workspace"]
    assert opened(named, subject, workspace, parent_workspace_id=parent, guards=guards) == expected
    assert opened(named, subject, workspace, parent_workspace_id=parent) == expected


def test_a_slug_of_several_workspaces_of_the_subject_opens_none_and_the_answer_says_so(named: Tenants) -> None:
    for workspace in ("both", "east"):
        answer = route(named, "cid", workspace)
        assert (answer.denial.reason, list(answer.warnings)) == ("WORKSPACE_NOT_FOUND", ["SLUG_AMBIGUOUS"])
        assert answer.workspace_id == ""
    assert opened(named, "cid", "both-1") == "both-1"


def test_a_denial_by_slug_says_what_one_by_id_says(named: Tenants) -> None:
    for subject, slug, identifier in (
        ("ann", "studio", "alone"),
        ("cid", "marketing", "w3"),
        ("bob", "north", "north"),
    ):
        for fields in ({}, {"required_module": "nonesuch"}, {"guards": ["can-create-childWorkspace"]}):
            by_slug, by_id = (route(named, subject, each, **fields) for each in (slug, identifier))
            for answer in (by_slug, by_id):
                answer.ClearField("decision_id")
            assert by_slug == by_id


def test_an_inactive_workspace_is_named_by_its_slug_as_an_active_one(named: Tenants) -> None:
    assert resolved(named, "ann", "sales", "one") == "w4"
    answer = route(named, "ann", "w4")
    assert (answer.denial.reason, answer.denial.redirect_to) == ("WORKSPACE_INACTIVE", "/workspace-inactive")


@pytest.mark.parametrize("organization", ["a b", "x" * 129, "-"])
def test_a_malformed_organization_is_named(named: Tenants, organization: str) -> None:
    request = authorization_pb2.CheckRouteRequest(subject="bob", workspace_id="marketing", organization=organization)
    refused = attempt(named.client().authorization.CheckRoute, request)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("organization",))


@pytest.mark.parametrize("lookups", ["", "\n[lookups]\nby_slug = false\n"])
def test_without_by_slug_an_id_is_all_that_a_route_takes(sqlite_template: Path, tmp_path: Path, lookups: str) -> None:
    bundle = copy_bundle("dam", tmp_path, catalog=lookups)
    with serving(sqlite_database(sqlite_template), str(bundle), WORLD) as tenants:
        assert opened(tenants, "bob", "w1") == "w1"
        for fields in ({}, {"organization": "one"}):
            assert opened(tenants, "bob", "marketing", **fields) == "WORKSPACE_NOT_FOUND"
        assert opened(tenants, "bob", "north", parent_workspace_id="studio") == "WORKSPACE_NOT_FOUND"
        assert resolved(tenants, "bob", "marketing") == "w1"


def test_a_slug_is_found_among_more_stand_alone_workspaces_than_are_named_one_by_one(
    sqlite_template: Path, tmp_path: Path
) -> None:
    bundle = copy_bundle("dam", tmp_path, catalog=LOOKUPS)
    children = [
        {"id": f"c{number}", "parent": "alone", "owner": "ann", "slug": f"c-{number}"} for number in range(2_100)
    ]
    world = {**WORLD, "workspaces": [*WORLD["workspaces"], *children]}
    with serving(sqlite_database(sqlite_template), str(bundle), world) as tenants:
        assert opened(tenants, "bob", "c-2099") == "c2099"
        assert opened(tenants, "bob", "studio") == "alone"
        assert opened(tenants, "eve", "c-2099") == "WORKSPACE_NOT_FOUND"


# --- ResolveWorkspace -------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-058", "REQ-086")
@pytest.mark.parametrize(
    ("actor", "organization", "slug", "expected"),
    [
        ("bob", "one", "marketing", "w1"),
        ("eve", "zeta", "marketing", "w2"),
        ("eve", "acme", "marketing", "w3"),
        ("root", "third", "marketing", "w3"),
        ("bob", "", "marketing", "w1"),
        ("bob", "", "studio", "alone"),
        ("bob", "", "north", "n1"),
        ("bob", "two", "marketing", NOT_FOUND),  # there, and not his to view
        ("cid", "", "marketing", NOT_FOUND),
        ("bob", "nowhere", "marketing", NOT_FOUND),
        ("bob", "one", "nothing", NOT_FOUND),
        ("eve", "", "hall", "sales"),
        ("eve", "two", "sales", NOT_FOUND),  # that is an id
        ("eve", "", "marketing", AMBIGUOUS),
        ("cid", "", "both", AMBIGUOUS),
    ],
)
def test_a_slug_leads_to_the_workspace_that_the_actor_may_view(
    named: Tenants, actor: str, organization: str, slug: str, expected: Any
) -> None:
    assert resolved(named, actor, slug, organization) == expected


@pytest.mark.parametrize("slug", ["", " marketing", "Marketing", "a--b", "a-", "a_b", "é", "x" * 101])
def test_what_is_not_a_slug_is_named(named: Tenants, slug: str) -> None:
    request = workspaces_pb2.ResolveWorkspaceRequest(slug=slug)
    refused = attempt(named.client("bob").workspaces.ResolveWorkspace, request)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("slug",))


def test_a_slug_of_a_deleted_workspace_is_free_and_leads_to_the_next_one(named: Tenants) -> None:
    owner = named.user()
    organization = named.organization(owner, "Slug Test")
    first = named.workspace(owner, "Team", organization_id=organization.id)
    assert resolved(named, owner, "team", organization.slug) == opened(named, owner, "team") == first.id
    named.client(owner).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=first.id))
    assert resolved(named, owner, "team", organization.slug) == NOT_FOUND
    assert opened(named, owner, "team") == "WORKSPACE_NOT_FOUND"
    second = named.workspace(owner, "Team", organization_id=organization.id)
    assert resolved(named, owner, "team") == opened(named, owner, "team") == second.id
