"""Every RPC that writes and can turn a decision round: a question, its answer before, and the call that changes it."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from tests.serving import Client
from wsauthz.v1 import (
    authorization_pb2,
    invitations_pb2,
    memberships_pb2,
    organizations_pb2,
    places_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)

CANNOT_FLIP: Final = {
    "UpdateProfile": "where a user starts is no fact of a decision",
    "SwitchWorkspace": "when a user was where is outside of revisions",
    "UpdateOrganizationName": "no decision depends on a name",
    "UpdateModuleSettings": "nor on what an application keeps for its modules",
    "SetProviders": "nor on providers",
    "SetSchedule": "nor on schedules",
    "CreateInvitation": "an invitation allows nothing until it is accepted",
    "RevokeInvitation": "as CreateInvitation",
    "RotateInviteCode": "a code allows nothing until somebody joins by it",
    "ReloadPolicy": "it reads files of its own machine, and makes no revision",
}
"""RPC that writes -> why no decision of another replica changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A decision that one call turns round."""

    question: authorization_pb2.CheckRequest
    before: bool
    change: Callable[[], Any]


class Stage:
    """Makes cases through one server; ``root`` is an operator there."""

    def __init__(self, client: Callable[[str], Client]) -> None:
        self.client = client
        self.revision = ""
        """That of the last call."""
        self._numbers = itertools.count(1)
        self._own = secrets.token_hex(3)

    def call(self, actor: str, service: str, method: str, request: Message) -> Any:
        """Make a call and remember its revision."""
        answer = getattr(getattr(self.client(actor), service), method)(request)
        self.revision = answer.revision or self.revision
        return answer

    def name(self, prefix: str) -> str:
        """Return a name that nobody else has."""
        return f"{prefix}-{self._own}-{next(self._numbers)}"

    def user(self) -> str:
        """Make a user."""
        user = self.name("user")
        request = users_pb2.UpsertUserRequest(user_id=user, email=f"{user}@example.com", email_verified=True)
        self.call("", "users", "UpsertUser", request)
        return user

    def workspace(self, owner: str, **fields: Any) -> Any:
        """Make a workspace with the module dam, and return the answer."""
        modules = places_pb2.ModuleList(modules=["dam"])
        request = workspaces_pb2.CreateWorkspaceRequest(name="North", modules=modules, **fields)
        return self.call(owner, "workspaces", "CreateWorkspace", request)

    def member(self, owner: str, workspace: str, role: str = "viewer") -> str:
        """Make a member of a workspace."""
        user = self.user()
        request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user, role=role)
        self.call(owner, "memberships", "AddMember", request)
        return user


def _ask(user: str, workspace: str, what: str = "workspace view") -> authorization_pb2.CheckRequest:
    resource, action = what.split()
    return authorization_pb2.CheckRequest(subject=user, workspace_id=workspace, resource=resource, action=action)


def _changes(stage: Stage, actor: str, service: str, method: str, request: Message) -> Callable[[], Any]:
    return lambda: stage.call(actor, service, method, request)


def _of_member(
    service: str, method: str, make: Callable[[str, str], Message], by: str = "owner"
) -> Callable[[Stage], Case]:
    """Return a case in which something ends what a viewer may."""

    def case(stage: Stage) -> Case:
        owner = stage.user()
        workspace = stage.workspace(owner).workspace.id
        user = stage.member(owner, workspace)
        actor = {"owner": owner, "member": user}.get(by, by)
        change = _changes(stage, actor, service, method, make(workspace, user))
        return Case(question=_ask(user, workspace, "dam:asset read"), before=True, change=change)

    return case


def _of_newcomer(service: str, method: str, make: Callable[[str, str], Message]) -> Callable[[Stage], Case]:
    """Return a case in which somebody gets in."""

    def case(stage: Stage) -> Case:
        owner, user = stage.user(), stage.user()
        workspace = stage.workspace(owner).workspace.id
        change = _changes(stage, owner, service, method, make(workspace, user))
        return Case(question=_ask(user, workspace), before=False, change=change)

    return case


def _undone(ends: tuple[str, str, Any], begins: tuple[str, str, Any], by: str) -> Callable[[Stage], Case]:
    """Return a case in which something comes back that was taken away; the requests take the ids of the place."""

    def case(stage: Stage) -> Case:
        owner = stage.user()
        organized = "organization_id" in ends[2].DESCRIPTOR.fields_by_name
        fields = {"new_organization": workspaces_pb2.NewOrganization()} if organized else {}
        made = stage.workspace(owner, **fields)
        place = {"organization_id": made.organization.id} if organized else {"workspace_id": made.workspace.id}
        actor = owner if by == "owner" else by
        stage.call(actor, ends[0], ends[1], ends[2](**place))
        change = _changes(stage, actor, begins[0], begins[1], begins[2](**place))
        return Case(question=_ask(owner, made.workspace.id, "dam:asset read"), before=False, change=change)

    return case


def _of_organization(method: str, request: Any, by: str) -> Callable[[Stage], Case]:
    def case(stage: Stage) -> Case:
        owner = stage.user()
        made = stage.workspace(owner, new_organization=workspaces_pb2.NewOrganization())
        actor = owner if by == "owner" else by
        change = _changes(stage, actor, "organizations", method, request(organization_id=made.organization.id))
        return Case(question=_ask(owner, made.workspace.id, "dam:asset read"), before=True, change=change)

    return case


def _demoted(stage: Stage) -> Case:
    owner = stage.user()
    workspace = stage.workspace(owner).workspace.id
    user = stage.member(owner, workspace, "admin")
    request = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=user, role="viewer")
    request.update_mask.paths.append("role")
    change = _changes(stage, owner, "memberships", "UpdateMember", request)
    return Case(question=_ask(user, workspace, "member add"), before=True, change=change)


def _passed_on(stage: Stage) -> Case:
    owner = stage.user()
    workspace = stage.workspace(owner).workspace.id
    heir = stage.member(owner, workspace, "admin")
    request = workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=heir)
    change = _changes(stage, owner, "states", "TransferOwnership", request)
    return Case(question=_ask(owner, workspace, "workspace transfer"), before=True, change=change)


def _no_children(stage: Stage) -> Case:
    owner = stage.user()
    workspace = stage.workspace(owner).workspace.id
    request = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=workspace)
    request.workspace.settings.features["child_workspaces"] = False
    request.update_mask.paths.append("settings.features")
    change = _changes(stage, "root", "workspaces", "UpdateWorkspace", request)
    return Case(question=_ask(owner, workspace, "workspace create_child"), before=True, change=change)


def _subscribed(stage: Stage) -> Case:
    owner = stage.user()
    workspace = stage.workspace(owner).workspace.id

    def subscribes(plan: str, kind: str) -> Callable[[], Any]:
        status = settings_pb2.SUBSCRIPTION_STATUS_ACTIVE
        fields: Any = {"workspace_id": workspace, "plan": plan, "plan_type": kind, "status": status}
        return _changes(stage, "root", "settings", "SetSubscription", settings_pb2.SetSubscriptionRequest(**fields))

    subscribes("professional", "paid")()
    change = subscribes("free", "free")
    return Case(question=_ask(owner, workspace, "dam:brand edit"), before=True, change=change)


def _accepted(stage: Stage) -> Case:
    owner, user = stage.user(), stage.user()
    workspace = stage.workspace(owner).workspace.id
    invite = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=f"{user}@example.com", role="viewer")
    token = stage.call(owner, "invitations", "CreateInvitation", invite).token
    accept = invitations_pb2.AcceptInvitationRequest(token=token)
    return Case(
        question=_ask(user, workspace),
        before=False,
        change=_changes(stage, user, "invitations", "AcceptInvitation", accept),
    )


def _joined(stage: Stage) -> Case:
    owner, user = stage.user(), stage.user()
    workspace = stage.workspace(owner).workspace.id
    shown = stage.client(owner).invitations.GetInviteCode(invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    join = invitations_pb2.JoinByCodeRequest(code=shown.code)
    return Case(
        question=_ask(user, workspace), before=False, change=_changes(stage, user, "invitations", "JoinByCode", join)
    )


def _created(method: str) -> Callable[[Stage], Case]:
    """Return a case in which a place comes to be; its id is not known before."""

    def case(stage: Stage) -> Case:
        owner = stage.user()
        parent = "" if method == "CreateWorkspace" else stage.workspace(owner).workspace.id
        question = _ask(owner, "not-there-yet")

        def change() -> None:
            if method == "CreateOrganization":
                made = stage.call(
                    owner, "organizations", method, organizations_pb2.CreateOrganizationRequest(name="Acme")
                )
                question.ClearField("workspace_id")
                question.organization_id, question.resource = made.organization.id, "organization"
            elif parent:
                request = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id=parent, name="South")
                question.workspace_id = stage.call(owner, "workspaces", method, request).workspace.id
            else:
                question.workspace_id = stage.workspace(owner).workspace.id

        return Case(question=question, before=False, change=change)

    return case


def _workspace_only(request: Any) -> Callable[[str, str], Message]:
    return lambda workspace, _: request(workspace_id=workspace)


FLIPS: Final[dict[str, Callable[[Stage], Case]]] = {
    "UpsertUser": _of_member(
        "users", "UpsertUser", lambda _, user: users_pb2.UpsertUserRequest(user_id=user, is_active=False), ""
    ),
    "BatchUpsertUsers": _of_member(
        "users",
        "BatchUpsertUsers",
        lambda _, user: users_pb2.BatchUpsertUsersRequest(users=[users_pb2.UserEvent(user_id=user, is_active=False)]),
        "",
    ),
    "DeleteAccount": _of_member("users", "DeleteAccount", lambda *_: users_pb2.DeleteAccountRequest(), "member"),
    "CreateOrganization": _created("CreateOrganization"),
    "DeleteOrganization": _of_organization("DeleteOrganization", organizations_pb2.DeleteOrganizationRequest, "owner"),
    "SuspendOrganization": _of_organization(
        "SuspendOrganization", organizations_pb2.SuspendOrganizationRequest, "root"
    ),
    "ReinstateOrganization": _undone(
        ("organizations", "SuspendOrganization", organizations_pb2.SuspendOrganizationRequest),
        ("organizations", "ReinstateOrganization", organizations_pb2.ReinstateOrganizationRequest),
        "root",
    ),
    "CreateWorkspace": _created("CreateWorkspace"),
    "CreateChildWorkspace": _created("CreateChildWorkspace"),
    "UpdateWorkspace": _no_children,
    "DeleteWorkspace": _of_member(
        "workspaces", "DeleteWorkspace", _workspace_only(workspaces_pb2.DeleteWorkspaceRequest)
    ),
    "SuspendWorkspace": _of_member(
        "states", "SuspendWorkspace", _workspace_only(workspace_states_pb2.SuspendWorkspaceRequest), "root"
    ),
    "ReinstateWorkspace": _undone(
        ("states", "SuspendWorkspace", workspace_states_pb2.SuspendWorkspaceRequest),
        ("states", "ReinstateWorkspace", workspace_states_pb2.ReinstateWorkspaceRequest),
        "root",
    ),
    "ActivateWorkspace": _undone(
        ("states", "DeactivateWorkspace", workspace_states_pb2.DeactivateWorkspaceRequest),
        ("states", "ActivateWorkspace", workspace_states_pb2.ActivateWorkspaceRequest),
        "owner",
    ),
    "DeactivateWorkspace": _of_member(
        "states", "DeactivateWorkspace", _workspace_only(workspace_states_pb2.DeactivateWorkspaceRequest)
    ),
    "TransferOwnership": _passed_on,
    "SetModules": _of_member("settings", "SetModules", _workspace_only(settings_pb2.SetModulesRequest)),
    "SetSubscription": _subscribed,
    "AddMember": _of_newcomer(
        "memberships",
        "AddMember",
        lambda workspace, user: memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user),
    ),
    "AddMemberByEmail": _of_newcomer(
        "memberships",
        "AddMemberByEmail",
        lambda workspace, user: memberships_pb2.AddMemberByEmailRequest(
            workspace_id=workspace, email=f"{user}@example.com"
        ),
    ),
    "UpdateMember": _demoted,
    "RemoveMember": _of_member(
        "memberships",
        "RemoveMember",
        lambda workspace, user: memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user),
    ),
    "Leave": _of_member("memberships", "Leave", _workspace_only(memberships_pb2.LeaveRequest), "member"),
    "AcceptInvitation": _accepted,
    "JoinByCode": _joined,
}
"""RPC -> what makes a case of it."""
