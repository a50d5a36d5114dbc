"""What every write has in common: the actor, the revision it answers with, and being repeated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import MakeDatabase
from tests.rpc.filling import fill, state_of
from tests.rpc.streams import number
from tests.rpc.tenants import STATE, Tenants
from tests.serving import ACTOR, BUNDLES, Refusal, Serving, attempt, refusal
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import authorization_pb2, memberships_pb2, organizations_pb2, users_pb2
from wsauthz.v1 import workspaces_pb2 as pb

INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def pair(make_database: MakeDatabase) -> Iterator[tuple[Tenants, Tenants]]:
    """Return two servers on one database."""
    with make_database() as url:
        fill(url, state_of(STATE), read_bundle(BUNDLES / "dam", core_vocabulary()).catalog)
        with Serving(url, BUNDLES / "dam") as first, Serving(url, BUNDLES / "dam") as second:
            yield Tenants(first), Tenants(second)


# --- the actor --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-085")
def test_without_an_actor_nothing_is_managed(sqlite_dam: Tenants) -> None:
    for actor in (None, ""):
        refused = refusal(sqlite_dam.client(actor).workspaces.CreateWorkspace, pb.CreateWorkspaceRequest(name="N"))
        assert (refused.code, refused.reason, refused.kind) == (UNAUTHENTICATED, "ACTOR_REQUIRED", "AuthError")
        assert refused.domain == "wsauthz"


@pytest.mark.req("REQ-085")
@pytest.mark.parametrize("second", ["ann", "root"])
def test_two_actors_are_an_error(sqlite_dam: Tenants, second: str) -> None:
    request = pb.CreateWorkspaceRequest(name="North")
    metadata = ((ACTOR, "ann"), (ACTOR, second))
    refused = refusal(sqlite_dam.client().workspaces.CreateWorkspace, request, metadata=metadata)
    assert (refused.code, refused.reason, refused.kind) == (UNAUTHENTICATED, "ACTOR_REPEATED", "AuthError")


@pytest.mark.parametrize("actor", ["a b", "*", "-ann", "..", "a,root", "a" * 129])
def test_a_malformed_actor_is_refused(sqlite_dam: Tenants, actor: str) -> None:
    refused = refusal(sqlite_dam.client(actor).workspaces.CreateWorkspace, pb.CreateWorkspaceRequest(name="N"))
    assert (refused.code, refused.fields) == (INVALID, (ACTOR,))


def test_two_actors_are_an_error_when_deciding_too(sqlite_dam: Tenants) -> None:
    request = authorization_pb2.CheckRequest(subject="ann", workspace_id="w", resource="workspace", action="view")
    metadata = ((ACTOR, "ann"), (ACTOR, "ann"))
    assert refusal(sqlite_dam.client().authorization.Check, request, metadata=metadata).reason == "ACTOR_REPEATED"


# --- revisions --------------------------------------------------------------------------------------------------------


def test_every_write_is_one_revision_later(dam: Tenants) -> None:
    owner = dam.user()
    before = dam.revision
    answer = dam.client(owner).workspaces.CreateWorkspace(pb.CreateWorkspaceRequest(name="North"))
    assert answer.revision.partition(".")[0] == before.partition(".")[0]
    assert number(answer.revision) == number(before) + 1
    assert dam.revision == answer.revision


def test_a_refused_write_is_no_revision(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    before = dam.revision
    refusal(dam.client(stranger).workspaces.DeleteWorkspace, pb.DeleteWorkspaceRequest(workspace_id=workspace))
    member = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=owner)
    refusal(dam.client(owner).memberships.AddMember, member)
    refusal(dam.client(owner).workspaces.CreateWorkspace, pb.CreateWorkspaceRequest(name=""))
    assert dam.revision == before


def test_a_write_is_seen_at_once_by_the_server_that_made_it(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    for _ in range(20):
        member = dam.member(owner, workspace)
        assert dam.reason(member, workspace) == ""
        request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=member)
        dam.client(owner).memberships.RemoveMember(request)
        assert dam.reason(member, workspace) == "NOT_A_MEMBER"


def test_with_its_revision_a_write_is_seen_by_another_server(pair: tuple[Tenants, Tenants]) -> None:
    first, second = pair
    owner = first.user()
    workspace = first.workspace(owner).id
    for _ in range(10):
        user = first.user()
        add = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user)
        added = first.client(owner).memberships.AddMember(add)
        answer = second.check(user, workspace, "workspace view", at_least_revision=added.revision)
        assert answer.decision == authorization_pb2.DECISION_ALLOW
        assert number(answer.revision) >= number(added.revision)


def test_a_write_is_decided_on_what_another_server_just_wrote(pair: tuple[Tenants, Tenants]) -> None:
    first, second = pair
    owner = first.user()
    workspace = first.workspace(owner).id
    for _ in range(5):
        admin = first.member(owner, workspace, role="admin")
        assert second.member(admin, workspace)
        update = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=admin, role="viewer")
        update.update_mask.paths.append("role")
        first.client(owner).memberships.UpdateMember(update)
        request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id="mallory")
        refused = refusal(second.client(admin).memberships.AddMember, request)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")


# --- request ids ------------------------------------------------------------------------------------------------------


def test_a_repeated_request_has_one_effect_and_one_answer(dam: Tenants) -> None:
    owner = dam.user()
    client = dam.client(owner).workspaces
    request = pb.CreateWorkspaceRequest(name="Once", request_id="r-1")
    first = client.CreateWorkspace(request)
    dam.user()  # something else happens
    second = client.CreateWorkspace(request)
    assert (second.workspace.id, second.revision) == (first.workspace.id, first.revision)
    mine = client.ListUserWorkspaces(pb.ListUserWorkspacesRequest()).workspaces
    assert [item.id for item in mine] == [first.workspace.id]


def test_a_deactivated_actor_is_not_given_the_first_answer_again(dam: Tenants) -> None:
    """Unlike somebody who only lost the right: who is deactivated learns nothing any more."""
    actor = dam.user()
    request = pb.CreateWorkspaceRequest(name="Once", request_id="r-1")
    made = dam.client(actor).workspaces.CreateWorkspace(request)
    for is_active in (False, True):
        dam.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=actor, is_active=is_active))
        told = attempt(dam.client(actor).workspaces.CreateWorkspace, request)
        if is_active:
            assert (told.workspace.id, told.revision) == (made.workspace.id, made.revision)
        else:
            assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, "USER_INACTIVE")


def test_another_body_under_the_same_id_is_refused(dam: Tenants) -> None:
    client = dam.client(dam.user()).workspaces
    client.CreateWorkspace(pb.CreateWorkspaceRequest(name="Once", request_id="r-1"))
    refused = refusal(client.CreateWorkspace, pb.CreateWorkspaceRequest(name="Twice", request_id="r-1"))
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "REQUEST_ID_REUSED", ("request_id",))


def test_an_id_belongs_to_one_actor_and_one_method(dam: Tenants) -> None:
    first, second = dam.user(), dam.user()
    made = {
        dam.client(actor)
        .workspaces.CreateWorkspace(pb.CreateWorkspaceRequest(name="N", request_id="shared"))
        .workspace.id
        for actor in (first, second)
    }
    assert len(made) == 2
    request = organizations_pb2.CreateOrganizationRequest(name="Acme", request_id="shared")
    assert dam.client(first).organizations.CreateOrganization(request).organization.id


def test_a_refusal_is_not_remembered(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    manager = dam.member(owner, workspace)
    request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=dam.user(), request_id="r-1")
    assert refusal(dam.client(manager).memberships.AddMember, request).reason == "ROLE_INSUFFICIENT"
    update = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=manager, role="admin")
    update.update_mask.paths.append("role")
    dam.client(owner).memberships.UpdateMember(update)
    assert dam.client(manager).memberships.AddMember(request).membership.id


def test_the_same_request_at_the_same_time_has_one_effect(dam: Tenants) -> None:
    owner = dam.user()
    client = dam.client(owner).workspaces
    request = pb.CreateWorkspaceRequest(name="Once", request_id="r-race")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.CreateWorkspace(request), range(8)))
    assert len({(answer.workspace.id, answer.revision) for answer in answers}) == 1


def test_a_replay_works_through_another_server(pair: tuple[Tenants, Tenants]) -> None:
    first, second = pair
    owner = first.user()
    request = pb.CreateWorkspaceRequest(name="Once", request_id="r-1")
    made = first.client(owner).workspaces.CreateWorkspace(request)
    again = second.client(owner).workspaces.CreateWorkspace(request)
    assert (again.workspace.id, again.revision) == (made.workspace.id, made.revision)


def test_a_request_id_without_an_actor(dam: Tenants) -> None:
    request = users_pb2.UpsertUserRequest(user_id="replayed", name="First", request_id="r-1")
    first = dam.client().users.UpsertUser(request)
    dam.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id="replayed", name="Second"))
    assert dam.client().users.UpsertUser(request).revision == first.revision
    found = dam.client("replayed").users.GetUser(users_pb2.GetUserRequest(user_id="replayed")).user
    assert found.name == "Second"


@pytest.mark.parametrize("request_id", ["x" * 129, "x" * 100_000])
def test_a_request_id_is_short(dam: Tenants, request_id: str) -> None:
    request = pb.CreateWorkspaceRequest(name="Once", request_id=request_id)
    refused = refusal(dam.client(dam.user()).workspaces.CreateWorkspace, request)
    assert (refused.code, refused.fields) == (INVALID, ("request_id",))


# --- many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-024")
def test_sixty_four_callers_add_the_same_user_once(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    client = dam.client(owner).memberships

    def add(_: int) -> Any:
        return attempt(client.AddMember, memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user))

    with ThreadPoolExecutor(64) as pool:
        outcomes = list(pool.map(add, range(64)))
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert len(refused) == 63
    assert {outcome.code for outcome in refused} == {grpc.StatusCode.ALREADY_EXISTS}


def test_slugs_made_at_the_same_time_differ(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: dam.workspace(owner, "Same", organization_id=organization).slug, range(16)))
    assert len(set(made)) == 16
