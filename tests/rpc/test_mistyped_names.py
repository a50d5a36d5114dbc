"""A mistyped name of the policy is rejected with the one that was meant, and that one is accepted."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, attempt
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import invitations_pb2, memberships_pb2, settings_pb2

Call = Callable[[Tenants, str, str, str], Any]


def check(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = pb.CheckRequest(subject=owner, workspace_id=workspace, resource=name, action="read")
    return attempt(tenants.client().authorization.Check, request)


def act(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = pb.CheckRequest(subject=owner, workspace_id=workspace, resource="dam:asset/1", action=name)
    return attempt(tenants.client().authorization.Check, request)


def look_up(tenants: Tenants, _: str, owner: str, name: str) -> Any:
    request = pb.LookupWorkspacesRequest(subject=owner, resource=name, action="read")
    return attempt(tenants.client().authorization.LookupWorkspaces, request)


def find_subjects(tenants: Tenants, workspace: str, _: str, name: str) -> Any:
    request = pb.LookupSubjectsRequest(workspace_id=workspace, resource="dam:asset", action=name)
    return attempt(tenants.client().authorization.LookupSubjects, request)


def route(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = pb.CheckRouteRequest(subject=owner, workspace_id=workspace, guards=["checkWorkspace", name])
    return attempt(tenants.client().authorization.CheckRoute, request)


def add(field: str) -> Call:
    def call(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
        value: Any = {"role": name, "permissions": [name], "modules": modules(name)}[field]
        request = memberships_pb2.AddMemberRequest(
            workspace_id=workspace, user_id=tenants.user(), **{"role": "admin", field: value}
        )
        return attempt(tenants.client(owner).memberships.AddMember, request)

    return call


def invite(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email="zoe@example.com", role=name)
    return attempt(tenants.client(owner).invitations.CreateInvitation, request)


def set_modules(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = settings_pb2.SetModulesRequest(workspace_id=workspace, modules=[name])
    return attempt(tenants.client(owner).settings.SetModules, request)


def module_settings(tenants: Tenants, workspace: str, owner: str, name: str) -> Any:
    request = settings_pb2.GetModuleSettingsRequest(workspace_id=workspace, module=name)
    return attempt(tenants.client(owner).settings.GetModuleSettings, request)


def subscribe(tenants: Tenants, workspace: str, _: str, name: str) -> Any:
    request = settings_pb2.SetSubscriptionRequest(
        workspace_id=workspace, plan=name, status=settings_pb2.SUBSCRIPTION_STATUS_ACTIVE
    )
    return attempt(tenants.client(OPERATOR).settings.SetSubscription, request)


@pytest.mark.parametrize(
    ("call", "mistyped", "meant"),
    [
        (check, "dam:aset", "dam:asset"),
        (check, "asset", "dam:asset"),
        (check, "dam:assets", "dam:asset"),
        (act, "raed", "read"),
        (look_up, "dam:colection", "dam:collection"),
        (find_subjects, "reed", "read"),
        (route, "checkWorkpsace", "checkWorkspace"),
        (route, "check-workspace", "checkWorkspace"),
        (add("role"), "Admin", "admin"),
        (add("permissions"), "can-manage-user", "can-manage-users"),
        (add("modules"), "damm", "dam"),
        (invite, "viewr", "viewer"),
        (set_modules, "analytic", "analytics"),
        (module_settings, "Dam", "dam"),
        (subscribe, "profesional", "professional"),
    ],
)
def test_the_name_that_was_meant_is_proposed_and_accepted(
    sqlite_dam: Tenants, call: Call, mistyped: str, meant: str
) -> None:
    owner = sqlite_dam.user("owner")
    workspace = sqlite_dam.workspace(owner).id
    plan = settings_pb2.SetSubscriptionRequest(
        workspace_id=workspace, plan="professional", status=settings_pb2.SUBSCRIPTION_STATUS_ACTIVE
    )
    sqlite_dam.client(OPERATOR).settings.SetSubscription(plan)
    all_of_them = settings_pb2.SetModulesRequest(workspace_id=workspace, modules=["dam", "analytics"])
    sqlite_dam.client(owner).settings.SetModules(all_of_them)
    refused = call(sqlite_dam, workspace, owner, mistyped)
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("UNKNOWN_")
    proposed = re.search(r"\(did you mean ([^ ]+)\?\)$", refused.message)
    assert proposed is not None, refused.message
    assert proposed[1] == meant
    accepted = call(sqlite_dam, workspace, owner, proposed[1])
    assert not isinstance(accepted, Refusal), accepted


def test_in_a_batch_each_item_says_what_was_meant(sqlite_dam: Tenants) -> None:
    item = pb.BatchCheckItem(subject="ann", workspace_id="w", resource="dam:asset", actions=["delete", "delte"])
    answer = sqlite_dam.client().authorization.BatchCheck(pb.BatchCheckRequest(items=[item]))
    assert ["did you mean delete?" in each.error for each in answer.answers] == [False, True]


def test_a_role_that_may_not_be_given_here_is_not_proposed(sqlite_dam: Tenants) -> None:
    owner = sqlite_dam.user("owner")
    refused = add("role")(sqlite_dam, sqlite_dam.workspace(owner).id, owner, "operatr")
    assert (refused.reason, "did you mean" in refused.message) == ("UNKNOWN_ROLE", False)
