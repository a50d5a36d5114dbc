import grpc
import pytest

from tests.rpc import tables
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import memberships_pb2, users_pb2, workspaces_pb2
from wsauthz.v1.users_pb2 import (
    WORKSPACE_SOURCE_LOCAL_STORAGE,
    WORKSPACE_SOURCE_NONE,
    WORKSPACE_SOURCE_PROFILE,
    WORKSPACE_SOURCE_ROUTE,
    WORKSPACE_SOURCE_STORE,
)
from wsauthz.v1.workspace_states_pb2 import DeactivateWorkspaceRequest, SuspendWorkspaceRequest


def update(tenants: Tenants, actor: str, default: str | None = None, request_id: str = "") -> users_pb2.User:
    request = users_pb2.UpdateProfileRequest(default_workspace_id=default, request_id=request_id)
    return tenants.client(actor).users.UpdateProfile(request).user


def updating(tenants: Tenants, actor: str, default: str | None = None) -> Refusal:
    request = users_pb2.UpdateProfileRequest(default_workspace_id=default)
    return refusal(tenants.client(actor).users.UpdateProfile, request)


def of(user: str) -> users_pb2.GetUserRequest:
    return users_pb2.GetUserRequest(user_id=user)


def get(tenants: Tenants, user: str) -> users_pb2.User:
    return tenants.client(user).users.GetUser(of(user)).user


# --- UpdateProfile ----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-098", "REQ-099")
def test_the_default_workspace_is_set_and_comes_back_with_its_time(dam: Tenants) -> None:
    user = dam.user()
    before, workspace = get(dam, user), dam.workspace(user).id
    changed = update(dam, user, workspace)
    assert changed.default_workspace_id == workspace
    assert changed.updated_at.ToNanoseconds() > before.updated_at.ToNanoseconds()
    assert changed.created_at == before.created_at
    assert get(dam, user) == changed


def test_an_empty_default_is_none_and_an_unset_one_stays(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    update(dam, user, workspace)
    assert update(dam, user).default_workspace_id == workspace
    assert not update(dam, user, "").HasField("default_workspace_id")
    assert not get(dam, user).HasField("default_workspace_id")


@pytest.mark.req("REQ-103")
def test_the_same_default_again_writes_nothing(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    first, revision = update(dam, user, workspace), dam.revision
    assert update(dam, user, workspace) == first
    assert update(dam, user) == first
    assert dam.revision == revision
    update(dam, user, "")
    revision = dam.revision
    update(dam, user, "")
    assert dam.revision == revision


@pytest.mark.req("REQ-103")
def test_a_retry_of_a_profile_change_gets_the_first_answer(dam: Tenants) -> None:
    user = dam.user()
    first, second = dam.workspace(user, "One").id, dam.workspace(user, "Two").id
    answer = update(dam, user, first, request_id="r-1")
    update(dam, user, second)
    assert update(dam, user, first, request_id="r-1") == answer
    assert get(dam, user).default_workspace_id == second


def test_a_default_the_actor_may_not_view_is_as_unknown_as_none(dam: Tenants) -> None:
    user, other = dam.user(), dam.user()
    own, others = dam.workspace(user).id, dam.workspace(other).id
    update(dam, user, own)
    revision = dam.revision
    foreign, unknown = updating(dam, user, others), updating(dam, user, "workspace_unknown")
    assert foreign == unknown
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert get(dam, user).default_workspace_id == own
    assert dam.revision == revision


def test_a_suspended_or_inactive_workspace_may_be_the_default_where_it_may_be_viewed(dam: Tenants) -> None:
    user = dam.user()
    suspended, inactive = dam.workspace(user, "One").id, dam.workspace(user, "Two").id
    dam.operator.states.SuspendWorkspace(SuspendWorkspaceRequest(workspace_id=suspended))
    dam.operator.states.DeactivateWorkspace(DeactivateWorkspaceRequest(workspace_id=inactive))
    assert update(dam, user, suspended).default_workspace_id == suspended
    assert update(dam, user, inactive).default_workspace_id == inactive


def test_an_actor_that_was_never_mirrored_has_no_profile(dam: Tenants) -> None:
    for default in (None, ""):
        refused = updating(dam, "never-mirrored", default)
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


@pytest.mark.parametrize("default", [" ", "a b", "a\n", "*", "-a", "..", "a" * 129, "é", "a/b"])
def test_a_malformed_default_is_named(dam: Tenants, default: str) -> None:
    refused = updating(dam, OPERATOR, default)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("default_workspace_id",))


def test_the_audit_of_a_profile_holds_ids_only(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user, "Canary Name").id
    update(dam, user, workspace)
    entry = tables.found(dam, f"SELECT * FROM audit_entries WHERE target_id = '{user}' ORDER BY number DESC")[0]
    before, after = (tables.json_of(entry[side]) for side in ("before", "after"))
    assert (entry["method"], entry["target_kind"]) == ("UserService/UpdateProfile", "user")
    assert (before, after) == ({"default_workspace_id": None}, {"default_workspace_id": workspace})
    assert "Canary" not in str(entry)


# --- ResolveCurrentWorkspace ------------------------------------------------------------------------------------------


def resolve(tenants: Tenants, actor: str, *texts: str) -> tuple[str, int]:
    route, store, local_storage = (*texts, "", "", "")[:3]
    request = users_pb2.ResolveCurrentWorkspaceRequest(route=route, store=store, local_storage=local_storage)
    answer = tenants.client(actor).users.ResolveCurrentWorkspace(request)
    return answer.workspace_id, answer.source


@pytest.mark.req("REQ-084", "REQ-104", "REQ-105")
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("a", "b", "c"), ("a", WORKSPACE_SOURCE_ROUTE)),
        (("a", "", ""), ("a", WORKSPACE_SOURCE_ROUTE)),
        (("", "b", "c"), ("b", WORKSPACE_SOURCE_STORE)),
        (("", "", "c"), ("c", WORKSPACE_SOURCE_LOCAL_STORAGE)),
        ((" \t ", "  b ", "c"), ("b", WORKSPACE_SOURCE_STORE)),
        (("no such/place é", "", ""), ("no such/place é", WORKSPACE_SOURCE_ROUTE)),
        (("x" * 256, "", ""), ("x" * 256, WORKSPACE_SOURCE_ROUTE)),
        (("", "", ""), ("", WORKSPACE_SOURCE_NONE)),
    ],
)
def test_the_first_text_that_says_something_counts(
    dam: Tenants, texts: tuple[str, str, str], expected: tuple[str, int]
) -> None:
    assert resolve(dam, "nobody-known", *texts) == expected


@pytest.mark.req("REQ-104", "REQ-105")
def test_the_profile_counts_when_no_text_does(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    assert resolve(dam, user) == ("", WORKSPACE_SOURCE_NONE)
    update(dam, user, workspace)
    assert resolve(dam, user, " ") == (workspace, WORKSPACE_SOURCE_PROFILE)
    assert resolve(dam, user, "", "", "other") == ("other", WORKSPACE_SOURCE_LOCAL_STORAGE)
    assert resolve(dam, dam.user()) == ("", WORKSPACE_SOURCE_NONE)


@pytest.mark.req("REQ-105")
def test_a_default_from_which_the_user_was_removed_is_skipped_and_the_answer_says_so(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    assert not update(dam, member, workspace).lost_default_workspace
    removal = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=member)
    dam.client(owner).memberships.RemoveMember(removal)
    asked = users_pb2.ResolveCurrentWorkspaceRequest()
    answer = dam.client(member).users.ResolveCurrentWorkspace(asked)
    assert (answer.workspace_id, answer.source) == ("", WORKSPACE_SOURCE_NONE)
    assert answer.lost_default_workspace
    for shown in (get(dam, member), update(dam, member), dam.operator.users.GetUser(of(member)).user):
        assert (shown.HasField("default_workspace_id"), shown.lost_default_workspace) == (False, True)
    assert resolve(dam, member, workspace) == (workspace, WORKSPACE_SOURCE_ROUTE)  # a route is never replaced
    assert resolve(dam, member, "", workspace) == (workspace, WORKSPACE_SOURCE_STORE)

    # Back in again, the default is what it was; whoever chooses another one has lost none.
    dam.member(owner, workspace, user=member)
    assert resolve(dam, member) == (workspace, WORKSPACE_SOURCE_PROFILE)
    assert (get(dam, member).default_workspace_id, get(dam, member).lost_default_workspace) == (workspace, False)
    dam.client(owner).memberships.RemoveMember(removal)
    assert not update(dam, member, "").lost_default_workspace
    assert not get(dam, member).lost_default_workspace


def test_fellow_members_are_not_told_of_a_default_nor_that_it_is_lost(dam: Tenants) -> None:
    owner, other = dam.user(), dam.user()
    workspace, shared = dam.workspace(owner).id, dam.workspace(other).id
    member = dam.member(owner, workspace)
    dam.member(other, shared, user=member)
    update(dam, member, workspace)
    dam.client(owner).memberships.RemoveMember(
        memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=member)
    )
    shown = dam.client(other).users.GetUser(of(member)).user
    assert (shown.HasField("default_workspace_id"), shown.lost_default_workspace) == (False, False)


@pytest.mark.parametrize("how", ["deactivated", "inherited", "suspended"])
def test_a_default_is_lost_with_the_last_role_there_and_not_before(dam: Tenants, how: str) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    member = dam.member(owner, child)
    update(dam, member, child)
    if how == "suspended":
        dam.operator.states.SuspendWorkspace(SuspendWorkspaceRequest(workspace_id=child))
    else:
        off = memberships_pb2.UpdateMemberRequest(workspace_id=child, user_id=member, is_active=False)
        off.update_mask.paths.append("is_active")
        dam.client(owner).memberships.UpdateMember(off)
    if how == "inherited":
        dam.member(owner, root, user=member, role="admin")
    assert get(dam, member).lost_default_workspace == (how == "deactivated")
    assert resolve(dam, member)[0] == ("" if how == "deactivated" else child)


def test_a_deleted_default_is_none(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    update(dam, user, workspace)
    dam.client(user).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))
    assert not get(dam, user).HasField("default_workspace_id")
    assert resolve(dam, user) == ("", WORKSPACE_SOURCE_NONE)
    tables.run(dam, f"UPDATE users SET default_workspace_id = '{workspace}' WHERE id = '{user}'")
    assert resolve(dam, user) == ("", WORKSPACE_SOURCE_NONE)


@pytest.mark.parametrize("field", ["route", "store", "local_storage"])
@pytest.mark.parametrize("text", ["x" * 257, "a\x00b", "a\nb", "a\x7fb", "a\x85b"])
def test_a_text_too_long_or_with_control_characters_is_named(dam: Tenants, field: str, text: str) -> None:
    values = {"route": "good", field: text}
    request = users_pb2.ResolveCurrentWorkspaceRequest(**values)
    refused = refusal(dam.client("nobody-known").users.ResolveCurrentWorkspace, request)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
