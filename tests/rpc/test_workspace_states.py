from typing import Any

import grpc
import pytest

from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import places_pb2, workspaces_pb2
from wsauthz.v1 import workspace_states_pb2 as pb

DENIED = grpc.StatusCode.PERMISSION_DENIED


def call(tenants: Tenants, actor: str, verb: str, workspace: str, **fields: Any) -> workspaces_pb2.Workspace:
    request = getattr(pb, f"{verb}WorkspaceRequest")(workspace_id=workspace, **fields)
    found: workspaces_pb2.Workspace = getattr(tenants.client(actor).states, f"{verb}Workspace")(request).workspace
    return found


def calling(tenants: Tenants, actor: str, verb: str, workspace: str, **fields: Any) -> Refusal:
    request = getattr(pb, f"{verb}WorkspaceRequest")(workspace_id=workspace, **fields)
    return refusal(getattr(tenants.client(actor).states, f"{verb}Workspace"), request)


def state(tenants: Tenants, workspace: str) -> places_pb2.State.ValueType:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request).state


@pytest.mark.req("REQ-074", "REQ-089")
def test_an_operator_suspends_a_root_workspace(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    suspended = call(dam, OPERATOR, "Suspend", workspace, reason="unpaid")
    assert (suspended.is_suspended, suspended.is_active) == (True, True)
    assert (suspended.suspended_reason, suspended.suspended_by) == ("unpaid", OPERATOR)
    assert suspended.suspended_at.ToSeconds() > 1_600_000_000
    denial = dam.check(owner, workspace, "dam:asset read").denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("WORKSPACE_SUSPENDED", workspace)
    assert denial.redirect_to == f"/{workspace}/workspace-suspended"
    reinstated = call(dam, OPERATOR, "Reinstate", workspace)
    assert (reinstated.is_suspended, reinstated.suspended_reason) == (False, "")
    assert not reinstated.HasField("suspended_at")
    assert not reinstated.HasField("suspended_by")
    assert dam.reason(owner, workspace, "dam:asset read") == ""


def test_an_admin_of_the_parent_suspends_a_child(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    member = dam.member(owner, child, role="admin")
    admin = dam.member(owner, root, role="admin")
    assert call(dam, admin, "Suspend", child).is_suspended
    assert dam.reason(member, child, "dam:asset read") == "WORKSPACE_SUSPENDED"
    assert calling(dam, member, "Reinstate", child).code == DENIED
    assert not call(dam, admin, "Reinstate", child).is_suspended


def test_nobody_of_the_workspace_itself_does(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    for actor in (owner, admin):
        for verb in ("Suspend", "Reinstate"):
            refused = calling(dam, actor, verb, workspace)
            assert (refused.code, refused.reason, refused.kind) == (DENIED, "ROLE_INSUFFICIENT", "AuthError")


def test_an_organization_owner_suspends_its_root_workspaces(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner, organization_id=dam.organization(owner).id).id
    assert call(dam, owner, "Suspend", workspace).is_suspended
    assert not call(dam, owner, "Reinstate", workspace).is_suspended


def test_an_admin_of_a_suspended_parent_lifts_nothing(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    call(dam, owner, "Suspend", child)
    call(dam, OPERATOR, "Suspend", root)
    refused = calling(dam, owner, "Reinstate", child)
    assert (refused.code, refused.reason) == (DENIED, "WORKSPACE_SUSPENDED")
    call(dam, OPERATOR, "Reinstate", child)
    assert state(dam, child) == places_pb2.STATE_SUSPENDED


def test_reinstating_a_parent_restores_exactly_what_was_there(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    good, bad = dam.child(owner, root, "Good").id, dam.child(owner, root, "Bad").id
    below = dam.child(owner, bad, "Below").id
    call(dam, OPERATOR, "Suspend", bad)
    call(dam, OPERATOR, "Suspend", root)
    assert {state(dam, workspace) for workspace in (root, good, bad, below)} == {places_pb2.STATE_SUSPENDED}
    assert dam.check(owner, below, "dam:asset read").denial.blocked_by.workspace_id in {root, bad}
    call(dam, OPERATOR, "Reinstate", root)
    assert [state(dam, workspace) for workspace in (root, good)] == [places_pb2.STATE_ACTIVE] * 2
    assert [state(dam, workspace) for workspace in (bad, below)] == [places_pb2.STATE_SUSPENDED] * 2
    assert dam.check(owner, below, "dam:asset read").denial.blocked_by.workspace_id == bad
    assert dam.reason(owner, good, "dam:asset read") == ""


@pytest.mark.req("REQ-089")
def test_the_owner_deactivates_and_activates(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    assert not call(dam, owner, "Deactivate", root).is_active
    denial = dam.check(owner, child, "dam:asset read").denial
    assert (denial.reason, denial.blocked_by.workspace_id) == ("WORKSPACE_INACTIVE", root)
    assert call(dam, owner, "Activate", root).is_active
    assert dam.reason(owner, child, "dam:asset read") == ""


def test_an_admin_does_not(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin")
    for verb in ("Deactivate", "Activate"):
        refused = calling(dam, admin, verb, workspace)
        assert (refused.code, refused.reason) == (DENIED, "ROLE_INSUFFICIENT")


def test_inactive_and_suspended_are_independent(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    call(dam, OPERATOR, "Suspend", workspace)
    call(dam, owner, "Deactivate", workspace)
    assert state(dam, workspace) == places_pb2.STATE_INACTIVE
    call(dam, owner, "Activate", workspace)
    assert state(dam, workspace) == places_pb2.STATE_SUSPENDED
    call(dam, OPERATOR, "Reinstate", workspace)
    assert state(dam, workspace) == places_pb2.STATE_ACTIVE


@pytest.mark.parametrize("verbs", [("Suspend", "Reinstate"), ("Deactivate", "Activate")])
def test_repeating_it_changes_no_revision(dam: Tenants, verbs: tuple[str, str]) -> None:
    workspace = dam.workspace(dam.user()).id
    for verb in verbs:
        first = call(dam, OPERATOR, verb, workspace)
        before = dam.revision
        assert call(dam, OPERATOR, verb, workspace) == first
        assert dam.revision == before


def test_a_reason_has_at_most_1000_characters(dam: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    refused = calling(dam, OPERATOR, "Suspend", workspace, reason="x" * 1_001)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("reason",))


@pytest.mark.parametrize("verb", ["Suspend", "Reinstate", "Activate", "Deactivate"])
def test_a_foreign_workspace_is_as_unknown_as_none(dam: Tenants, verb: str) -> None:
    workspace, stranger = dam.workspace(dam.user()).id, dam.user()
    foreign = calling(dam, stranger, verb, workspace)
    assert foreign == calling(dam, stranger, verb, "workspace_unknown")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert calling(dam, stranger, verb, "a b").fields == ("workspace_id",)
    assert calling(dam, stranger, verb, "").fields == ("workspace_id",)
