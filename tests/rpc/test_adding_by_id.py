"""Whom one may add by a user id: nobody that no user has, and only those whom the catalog lets an actor name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import Refusal, attempt
from wsauthz.v1 import authorization_pb2, invitations_pb2, users_pb2, workspace_states_pb2, workspaces_pb2
from wsauthz.v1 import memberships_pb2 as pb

GHOST: Final = "auth0|ghost"
"""Imported as a member, never mirrored."""
GHOSTS: Final[dict[str, Any]] = {
    "users": [*STATE["users"], {"id": "elder"}],
    "organizations": [{"id": "acme"}],
    "workspaces": [
        {"id": "old", "organization": "acme", "owner": "elder"},
        {"id": "haunted", "owner": GHOST},
    ],
    "memberships": [
        *STATE["memberships"],
        {"workspace": "old", "user": "elder", "role": "admin"},
        {"workspace": "old", "user": GHOST, "role": "admin"},
    ],
}


@pytest.fixture
def ghosts(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server on a state with a member that no user is."""
    with serving(make_database(), "dam", GHOSTS) as tenants:
        yield tenants


CLERK: Final = "clerk"
"""Holds a role at the platform that adds members everywhere, and sees nobody."""


def serving_with(make_database: MakeDatabase, folder: Path, add_by_id: str) -> Any:
    """Serve the dam bundle with a setting of ``[joining] add_by_id``, and with a clerk."""
    rows = ["p, role:clerk, *, workspace/*, view, any, allow", "p, role:clerk, *, member/*, add, any, allow"]
    role = '\n[roles.clerk]\ntitle = "Clerk"\nrank = 15\nplaces = ["platform"]\n'
    bundle = copy_bundle("dam", folder, rows=[*rows, "g4, role:clerk, role:clerk"], catalog=role, tests=False)
    catalog = bundle / "catalog.toml"
    said = f'[joining]\nadd_by_id = "{add_by_id}"\n'
    catalog.write_text(catalog.read_text().replace("[joining]\n", said), "utf-8")
    assert said in catalog.read_text()
    clerk = {"platform": True, "user": CLERK, "role": "clerk"}
    state = {"users": [*STATE["users"], {"id": CLERK}], "memberships": [*STATE["memberships"], clerk]}
    return serving(make_database(), bundle, state)


@pytest.fixture(scope="module")
def visible(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server on which only those who are visible are added by an id."""
    with serving_with(make_database, tmp_path_factory.mktemp("visible"), "visible") as tenants:
        yield tenants


def adding(tenants: Tenants, actor: str, user: str, **place: Any) -> Any:
    """Return what becomes of adding somebody by an id."""
    request = pb.AddMemberRequest(user_id=user, role="viewer" if "workspace_id" in place else "", **place)
    return attempt(tenants.client(actor).memberships.AddMember, request)


def by_email(tenants: Tenants, actor: str, workspace: str, email: str) -> Any:
    """Return what becomes of adding somebody by an address."""
    request = pb.AddMemberByEmailRequest(workspace_id=workspace, email=email, role="viewer")
    return attempt(tenants.client(actor).memberships.AddMemberByEmail, request)


def updating(tenants: Tenants, actor: str, user: str, **fields: Any) -> Any:
    """Return what becomes of changing a member of the old workspace."""
    request = pb.UpdateMemberRequest(workspace_id="old", user_id=user, **fields)
    request.update_mask.paths.extend(fields)
    return attempt(tenants.client(actor).memberships.UpdateMember, request)


def assert_unknown(found: Any) -> None:
    """See that something was refused as if nobody had the id."""
    assert isinstance(found, Refusal)
    assert (found.code, found.reason, found.kind) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", "NotFoundError")
    assert found.message == "User not found"


# --- ids that nobody has ----------------------------------------------------------------------------------------------


def test_an_id_that_nobody_has_is_not_added(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    gone = dam.user()
    dam.client(gone).users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id=gone))
    before = dam.revision
    for user in ("nobody", "auth0|5f7c", gone):
        assert_unknown(adding(dam, owner, user, workspace_id=workspace))
        assert_unknown(adding(dam, OPERATOR, user, workspace_id=workspace))
    assert dam.revision == before
    # Somebody who gets the id later holds nothing.
    dam.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id="nobody"))
    assert dam.reason("nobody", workspace) == "NOT_A_MEMBER"


def test_decisions_about_members_that_nobody_mirrored_are_as_ever(ghosts: Tenants) -> None:
    assert ghosts.reason(GHOST, "old", "member add") == ""
    shown = ghosts.operator.workspaces.GetWorkspace(workspaces_pb2.GetWorkspaceRequest(workspace_id="haunted"))
    assert shown.owner == workspaces_pb2.Owner(id=GHOST)


def test_an_id_that_nobody_has_is_given_nothing_more(ghosts: Tenants) -> None:
    assert_unknown(adding(ghosts, "elder", GHOST, workspace_id="old"))
    assert_unknown(updating(ghosts, "elder", GHOST, permissions=["can-manage-users"]))
    assert not isinstance(updating(ghosts, "elder", GHOST, role="viewer"), Refusal)
    assert_unknown(updating(ghosts, "elder", GHOST, role="admin"))
    assert not isinstance(updating(ghosts, "elder", GHOST, is_active=False), Refusal)
    assert_unknown(updating(ghosts, "elder", GHOST, is_active=True))
    ghosts.client("elder").memberships.RemoveMember(pb.RemoveMemberRequest(workspace_id="old", user_id=GHOST))
    assert ghosts.reason(GHOST, "old") == "NOT_A_MEMBER"


def test_ownership_goes_to_nobody_that_is_unknown(ghosts: Tenants) -> None:
    request = workspace_states_pb2.TransferOwnershipRequest(workspace_id="old", user_id=GHOST)
    assert_unknown(attempt(ghosts.client("elder").states.TransferOwnership, request))
    listed = workspace_states_pb2.ListOwnerCandidatesRequest(workspace_id="old")
    assert not ghosts.client("elder").states.ListOwnerCandidates(listed).members
    child = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id="old", name="Mine")
    assert_unknown(attempt(ghosts.client(GHOST).workspaces.CreateChildWorkspace, child))


def test_an_actor_that_nobody_mirrored_comes_in_by_no_code(ghosts: Tenants) -> None:
    owner = ghosts.user()
    shown = invitations_pb2.GetInviteCodeRequest(workspace_id=ghosts.workspace(owner).id)
    code = ghosts.client(owner).invitations.GetInviteCode(shown).code
    request, join = invitations_pb2.JoinByCodeRequest(code=code), ghosts.client(GHOST).invitations.JoinByCode
    for _ in range(12):  # none of which counts as guessing
        assert_unknown(attempt(join, request))
    ghosts.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=GHOST))
    assert join(request).joined.membership.user_id == GHOST


@pytest.mark.req("REQ-102")
def test_a_member_that_nobody_mirrored_has_no_profile_and_may_go(ghosts: Tenants) -> None:
    client = ghosts.client(GHOST)
    assert_unknown(attempt(client.users.SwitchWorkspace, users_pb2.SwitchWorkspaceRequest(workspace_id="old")))
    update = users_pb2.UpdateProfileRequest(default_workspace_id="old")
    assert_unknown(attempt(client.users.UpdateProfile, update))
    assert client.users.DeleteAccount(users_pb2.DeleteAccountRequest()).deleted
    assert ghosts.reason(GHOST, "old") == "NOT_A_MEMBER"
    assert not ghosts.operator.users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id="never-heard-of")).deleted


# --- whom the catalog lets one name -----------------------------------------------------------------------------------


def test_a_user_that_is_not_visible_is_as_an_id_that_nobody_has(visible: Tenants) -> None:
    owner, stranger, colleague = visible.user(), visible.user(), visible.user()
    workspace = visible.workspace(owner).id
    elsewhere = visible.workspace(stranger).id
    visible.member(OPERATOR, elsewhere, user=colleague)
    before = visible.revision
    found = [adding(visible, owner, user, workspace_id=workspace) for user in ("nobody", stranger, colleague, OPERATOR)]
    for each in found:
        assert_unknown(each)
        assert each == found[0]
    assert visible.revision == before
    assert by_email(visible, owner, workspace, f"{stranger}@example.com").outcome == pb.ADD_MEMBER_OUTCOME_ADDED
    assert isinstance(adding(visible, owner, stranger, workspace_id=workspace), Refusal)  # a member now, so visible
    assert adding(visible, owner, stranger, workspace_id=workspace).reason == "ALREADY_MEMBER"


def test_those_who_are_or_were_here_or_above_are_visible(visible: Tenants) -> None:
    owner = visible.user()
    organization = visible.organization(owner).id
    parent = visible.workspace(owner, organization_id=organization).id
    child = visible.child(owner, parent).id
    helper = visible.member(OPERATOR, child, role="viewer", permissions=["can-manage-users"])
    above = visible.member(OPERATOR, parent)
    top = visible.member(OPERATOR, organization=organization)
    left = visible.member(OPERATOR, child)
    visible.client(left).memberships.Leave(pb.LeaveRequest(organization_id=organization))
    below = visible.member(OPERATOR, visible.child(owner, child).id, user=visible.user())
    for user in (above, top, left):
        assert not isinstance(adding(visible, helper, user, workspace_id=child), Refusal), user
    # Whoever is below is in the organization, and so above.
    assert not isinstance(adding(visible, helper, below, workspace_id=child), Refusal)


def test_those_whom_the_actor_may_look_at_are_visible(visible: Tenants) -> None:
    owner = visible.user()
    first, second = visible.workspace(owner).id, visible.workspace(owner).id
    member = visible.member(OPERATOR, first)
    viewer = visible.member(OPERATOR, first, role="viewer")
    own = visible.workspace(viewer).id
    assert_unknown(adding(visible, viewer, member, workspace_id=own))  # a viewer lists no members
    assert not isinstance(adding(visible, owner, member, workspace_id=second), Refusal)
    assert not isinstance(adding(visible, OPERATOR, visible.user(), workspace_id=second), Refusal)
    assert_unknown(adding(visible, CLERK, owner, workspace_id=visible.workspace(viewer).id))
    assert not isinstance(adding(visible, CLERK, CLERK, workspace_id=second), Refusal)


def test_where_nobody_is_added_by_an_id_an_address_is_needed(make_database: MakeDatabase, tmp_path: Path) -> None:
    with serving_with(make_database, tmp_path, "nobody") as tenants:
        owner, user = tenants.user(), tenants.user()
        workspace = tenants.workspace(owner).id
        for actor, each in ((owner, user), (OPERATOR, user), (OPERATOR, OPERATOR), (owner, "nobody")):
            assert_unknown(adding(tenants, actor, each, workspace_id=workspace))
        assert by_email(tenants, owner, workspace, f"{user}@example.com").outcome == pb.ADD_MEMBER_OUTCOME_ADDED


# --- addresses --------------------------------------------------------------------------------------------------------


def test_addresses_are_not_tried_out(dam: Tenants) -> None:
    owner, user, other = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    unverified = dam.user(verified=False)
    nowhere = ["nobody@example.com", f"{unverified}@example.com"] * 5
    for address in nowhere[:9]:
        assert by_email(dam, owner, workspace, address).outcome == pb.ADD_MEMBER_OUTCOME_NOT_FOUND
    assert by_email(dam, owner, workspace, f"{user}@example.com").outcome == pb.ADD_MEMBER_OUTCOME_ADDED
    assert by_email(dam, owner, workspace, f"{user}@example.com").outcome == pb.ADD_MEMBER_OUTCOME_ALREADY_MEMBER
    assert by_email(dam, owner, workspace, "not an address").reason == "INVALID_ARGUMENT"
    assert by_email(dam, owner, workspace, nowhere[9]).outcome == pb.ADD_MEMBER_OUTCOME_NOT_FOUND
    for address in (nowhere[0], f"{other}@example.com"):
        found = by_email(dam, owner, workspace, address)
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
        assert 0 < found.retry_seconds <= 300
    # Others are free to go on, and so is the owner by ids and codes.
    assert by_email(dam, OPERATOR, workspace, nowhere[0]).outcome == pb.ADD_MEMBER_OUTCOME_NOT_FOUND
    assert not isinstance(adding(dam, owner, other, workspace_id=workspace), Refusal)
    unknown = invitations_pb2.JoinByCodeRequest(code="leads-nowhere")
    assert attempt(dam.client(owner).invitations.JoinByCode, unknown).reason == "WORKSPACE_NOT_FOUND"
    check = authorization_pb2.CheckRequest(subject=user, workspace_id=workspace, resource="workspace", action="view")
    assert dam.client().authorization.Check(check).decision == authorization_pb2.DECISION_ALLOW
