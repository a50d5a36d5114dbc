"""What somebody who is not a member yet may know of a workspace, and of the organization it is in."""

from dataclasses import dataclass

from wsauthz.model.errors import WorkspaceNotFound
from wsauthz.model.organizations import Organization
from wsauthz.model.workspaces import Workspace
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinableWorkspace:
    """A workspace as those see it whom a token or a code leads to it."""

    id: str
    name: str
    slug: str
    image_url: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinableOrganization:
    """An organization as those see it whom a token or a code leads to it."""

    id: str
    name: str
    slug: str


def describe(connection: Connection, workspace_id: str) -> tuple[JoinableWorkspace, JoinableOrganization | None]:
    """Return the workspace and its organization; None: it stands alone.

    Raises:
        WorkspaceNotFound: there is none, or it was deleted.

    """
    workspace = workspace_rows.find(connection, workspace_id)
    if workspace is None:
        raise WorkspaceNotFound
    organization = None
    if workspace.organization_id is not None:
        organization = organization_rows.find(connection, workspace.organization_id)
    return joinable_workspace(workspace), joinable_organization(organization) if organization else None


def joinable_workspace(workspace: Workspace) -> JoinableWorkspace:
    """Return what an outsider may know of the workspace."""
    return JoinableWorkspace(
        id=workspace.id,
        name=workspace.name,
        slug=workspace.slug,
        image_url=workspace.image_url,
        description=workspace.description,
    )


def joinable_organization(organization: Organization) -> JoinableOrganization:
    """Return what an outsider may know of the organization."""
    return JoinableOrganization(id=organization.id, name=organization.name, slug=organization.slug)
