"""Tenants made through the API: what most tests of management RPCs begin with; every id is new."""

import secrets
from typing import Any

from tests.serving import Client, Serving
from wsauthz.v1 import authorization_pb2, memberships_pb2, organizations_pb2, places_pb2, users_pb2, workspaces_pb2

OPERATOR = "root"
STATE: dict[str, Any] = {
    "users": [{"id": OPERATOR}],
    "memberships": [{"platform": True, "user": OPERATOR, "role": "operator"}],
}
"""Platform roles are given beside the server, never through it."""


def modules(*names: str) -> places_pb2.ModuleList:
    """Return a module list."""
    return places_pb2.ModuleList(modules=names)


class Tenants:
    """Makes users, organizations, workspaces and members on one server; every method returns what was made."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        self.operator = server.client(OPERATOR)

    def client(self, actor: str | None = None) -> Client:
        """Return the stubs of one actor."""
        return self.server.client(actor)

    def user(self, prefix: str = "user", *, verified: bool = True, **fields: Any) -> str:
        """Make a user with an email address ``<id>@example.com`` and return its id."""
        user_id = f"{prefix}-{secrets.token_hex(4)}"
        usual = {"email": f"{user_id}@example.com", "email_verified": verified, "name": prefix.title()}
        self.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user_id, **{**usual, **fields}))
        return user_id

    def organization(self, owner: str, name: str = "Acme") -> organizations_pb2.Organization:
        """Make an organization."""
        request = organizations_pb2.CreateOrganizationRequest(name=name)
        return self.client(owner).organizations.CreateOrganization(request).organization

    def workspace(self, owner: str, name: str = "North", **fields: Any) -> workspaces_pb2.Workspace:
        """Make a root workspace of a user."""
        request = workspaces_pb2.CreateWorkspaceRequest(name=name, **fields)
        return self.client(owner).workspaces.CreateWorkspace(request).workspace

    def child(self, creator: str, parent: str, name: str = "East", **fields: Any) -> workspaces_pb2.Workspace:
        """Make a child workspace."""
        request = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id=parent, name=name, **fields)
        return self.client(creator).workspaces.CreateChildWorkspace(request).workspace

    def member(self, by: str, workspace: str = "", *, organization: str = "", user: str = "", **fields: Any) -> str:
        """Add a user (by default a new one) to a workspace or an organization and return its id."""
        user = user or self.user("member")
        place: dict[str, Any] = {"organization_id": organization} if organization else {"workspace_id": workspace}
        self.client(by).memberships.AddMember(memberships_pb2.AddMemberRequest(user_id=user, **place, **fields))
        return user

    def check(self, subject: str, workspace: str, question: str, **fields: Any) -> authorization_pb2.CheckResponse:
        """Ask one question, such as "dam:asset read"."""
        resource, _, action = question.partition(" ")
        request = authorization_pb2.CheckRequest(
            subject=subject, workspace_id=workspace, resource=resource, action=action, **fields
        )
        return self.client().authorization.Check(request)

    def reason(self, subject: str, workspace: str, question: str = "workspace view") -> str:
        """Return why something is denied; empty: it is allowed."""
        return self.check(subject, workspace, question).denial.reason

    @property
    def revision(self) -> str:
        """The revision that the server answers from."""
        return self.check("nobody", "nowhere", "workspace view").revision
