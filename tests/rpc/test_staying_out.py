"""Nobody gets rid of a limit by going: whoever is barred, deactivated, past its time or limited rejoins by no code."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import attempt, refusal
from wsauthz.v1 import authorization_pb2, invitations_pb2, memberships_pb2, places_pb2, users_pb2

WAYS_OUT = ("leaving the organization", "deleting the account", "having it deleted")
LIMITS: dict[str, dict[str, Any]] = {
    "of some modules": {"modules": places_pb2.ModuleList(modules=["dam"])},
    "of no module": {"modules": places_pb2.ModuleList()},
    "with an end": {"expires_at": datetime.now(UTC) + timedelta(days=1)},
    "below the default role": {"role": "viewer"},
}


@pytest.fixture(scope="module")
def default(sqlite_template: Path) -> Iterator[Tenants]:
    """Return a server of the bundle that can bar somebody, with an operator."""
    with serving(sqlite_database(sqlite_template), "default") as tenants:
        yield tenants


@pytest.mark.parametrize("way_out", WAYS_OUT)
@pytest.mark.parametrize("state", ["barred", "deactivated", "expired"])
def test_who_could_not_leave_the_workspace_does_not_come_back(default: Tenants, state: str, way_out: str) -> None:
    owner = default.user()
    organization = default.organization(owner).id
    workspace = default.workspace(owner, organization_id=organization).id
    user = put(default, owner, workspace, state)
    go(default, user, organization, way_out)
    assert joining(default, owner, user, workspace) == "REMOVED"


@pytest.mark.parametrize("state", ["barred", "expired", "deactivated"])
def test_nobody_is_kept_where_somebody_else_put_them(default: Tenants, state: str) -> None:
    owner = default.user()
    organization = default.organization(owner).id
    workspace = default.workspace(owner, organization_id=organization).id
    user = put(default, owner, workspace, state)
    client = default.client(user).memberships
    client.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace))
    assert joining(default, owner, user, workspace) == "REMOVED"
    client.Leave(memberships_pb2.LeaveRequest(organization_id=organization))
    for listed in (
        memberships_pb2.ListMembersRequest(workspace_id=workspace),
        memberships_pb2.ListMembersRequest(organization_id=organization),
    ):
        members = default.client(owner).memberships.ListMembers(listed).members
        assert [member.membership.user_id for member in members] == [owner]


def test_those_who_came_by_themselves_leave_as_the_rules_say(default: Tenants) -> None:
    owner, user = default.user(), default.user()
    workspace = default.workspace(owner).id
    assert joining(default, owner, user, workspace) == ""
    request = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=user, role="barred")
    request.update_mask.paths.append("role")
    default.client(owner).memberships.UpdateMember(request)
    leave = memberships_pb2.LeaveRequest(workspace_id=workspace)
    assert refusal(default.client(user).memberships.Leave, leave).reason in {"DENIED_BY_RULE", "WORKSPACE_NOT_FOUND"}
    assert default.reason(user, workspace) == "ROLE_INSUFFICIENT"


def test_a_membership_that_takes_away_what_flows_down_is_left_as_the_rules_say(default: Tenants) -> None:
    """Leaving it would give an admin of the parent back what the owner of the child took from them."""
    owner = default.user()
    parent = default.workspace(owner).id
    child = default.child(owner, parent).id
    admin = default.member(owner, parent, role="admin")
    default.member(owner, child, user=admin, role="barred")
    leave = memberships_pb2.LeaveRequest(workspace_id=child)
    assert refusal(default.client(admin).memberships.Leave, leave).reason == "DENIED_BY_RULE"
    assert default.reason(admin, child, "member view") == "DENIED_BY_RULE"


def test_who_was_added_as_an_owner_does_not_leave_a_place_without_one(sqlite_oneglanse: Tenants) -> None:
    tenants = sqlite_oneglanse
    first = tenants.user()
    workspace = tenants.workspace(first).id
    second = tenants.member(first, workspace, role="owner")
    leave = memberships_pb2.LeaveRequest(workspace_id=workspace)
    tenants.client(first).memberships.Leave(leave)
    assert refusal(tenants.client(second).memberships.Leave, leave).reason == "LAST_OWNER"


@pytest.mark.parametrize("way_out", WAYS_OUT)
def test_who_could_leave_may_come_back(default: Tenants, way_out: str) -> None:
    owner = default.user()
    organization = default.organization(owner).id
    workspace = default.workspace(owner, organization_id=organization).id
    user = default.member(owner, workspace)
    go(default, user, organization, way_out)
    assert joining(default, owner, user, workspace) == ""


@pytest.mark.parametrize("way_out", ["leaving the workspace", *WAYS_OUT])
@pytest.mark.parametrize("limit", LIMITS)
def test_whose_membership_is_limited_gets_no_unlimited_one_by_leaving(
    default: Tenants, limit: str, way_out: str
) -> None:
    owner = default.user()
    organization = default.organization(owner).id
    workspace = default.workspace(owner, organization_id=organization).id
    user = default.member(owner, workspace, **LIMITS[limit])
    if way_out == "leaving the workspace":
        default.client(user).memberships.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace))
    else:
        go(default, user, organization, way_out)
    assert joining(default, owner, user, workspace) == "REMOVED"
    default.client(owner).memberships.AddMember(memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user))


def test_a_deactivated_account_was_barred_from_nowhere(default: Tenants) -> None:
    owner = default.user()
    workspace = default.workspace(owner).id
    user = default.member(owner, workspace)
    default.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user, is_active=False))
    go(default, user, "", "having it deleted")
    assert joining(default, owner, user, workspace) == ""


def put(tenants: Tenants, owner: str, workspace: str, state: str) -> str:
    """Return somebody new whose membership of the workspace is in the state."""
    if state == "barred":
        return tenants.member(owner, workspace, role="barred")
    if state == "expired":
        user = tenants.member(owner, workspace, expires_at=datetime.now(UTC) + timedelta(seconds=1))
        asked = authorization_pb2.GetAccessRequest(subject=user, workspace_id=workspace)
        deadline = time.monotonic() + 20
        while tenants.client().authorization.GetAccess(asked).membership.is_active:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return user
    user = tenants.member(owner, workspace)
    request = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=user, is_active=False)
    request.update_mask.paths.append("is_active")
    tenants.client(owner).memberships.UpdateMember(request)
    return user


def go(tenants: Tenants, user: str, organization: str, way_out: str) -> None:
    """Have somebody go; an account that went is made anew."""
    if way_out == "leaving the organization":
        tenants.client(user).memberships.Leave(memberships_pb2.LeaveRequest(organization_id=organization))
        return
    actor = user if way_out == "deleting the account" else OPERATOR
    assert tenants.client(actor).users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id=user)).deleted
    assert tenants.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user)).created


def joining(tenants: Tenants, owner: str, user: str, workspace: str) -> str:
    """Return why somebody cannot join by the invite code; empty: it has joined."""
    shown = invitations_pb2.GetInviteCodeRequest(workspace_id=workspace)
    code = tenants.client(owner).invitations.GetInviteCode(shown).code
    joined: Any = attempt(tenants.client(user).invitations.JoinByCode, invitations_pb2.JoinByCodeRequest(code=code))
    return "" if isinstance(joined, invitations_pb2.JoinByCodeResponse) else str(joined.reason)
