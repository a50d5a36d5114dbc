"""WorkspaceService: workspaces, and the lists of them that frontends show."""

import json
from typing import Any, Final

from wsauthz.model.identifiers import check_id, check_slug
from wsauthz.model.texts import WORKSPACE_TEXTS
from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message, workspace_message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import workspace_creation, workspace_lists, workspace_slugs, workspaces
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.tenancy.workspace_creation import NewOrganization
from wsauthz.tenancy.workspaces import BRANDING, BRANDING_FIELDS, FEATURES
from wsauthz.v1 import workspaces_pb2 as pb

_CHANGEABLE: Final = (*WORKSPACE_TEXTS, BRANDING, *BRANDING_FIELDS, FEATURES)


class WorkspaceService:
    """Creates, shows, changes, deletes and lists workspaces."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def CreateWorkspace(self, request: pb.CreateWorkspaceRequest, tx: Transaction) -> pb.CreateWorkspaceResponse:
        """Create a root workspace."""
        new = request.new_organization
        created = workspace_creation.create(
            tx,
            organization_id=fields.identifier(request, "organization_id")
            if request.HasField("organization_id")
            else "",
            new_organization=NewOrganization(name=new.name, slug=new.slug)
            if request.HasField("new_organization")
            else None,
            website=request.website,
            phone=request.phone,
            **_new(request),
        )
        response = message(pb.CreateWorkspaceResponse, created)
        response.workspace.CopyFrom(workspace_message(created.workspace, tx.rules.catalog))
        return response

    def CreateChildWorkspace(
        self, request: pb.CreateChildWorkspaceRequest, tx: Transaction
    ) -> pb.CreateChildWorkspaceResponse:
        """Create a child."""
        parent_id = fields.identifier(request, "parent_workspace_id")
        workspace = workspace_creation.create_child(tx, parent_workspace_id=parent_id, **_new(request))
        return pb.CreateChildWorkspaceResponse(workspace=workspace_message(workspace, tx.rules.catalog))

    def GetWorkspace(self, request: pb.GetWorkspaceRequest, reading: Reading) -> pb.GetWorkspaceResponse:
        """Show one workspace."""
        view = workspaces.get(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetWorkspaceResponse, view)

    def UpdateWorkspace(self, request: pb.UpdateWorkspaceRequest, tx: Transaction) -> pb.UpdateWorkspaceResponse:
        """Change what the mask names."""
        workspace_id = fields.identifier(request, "workspace_id")
        paths = fields.mask(request, _CHANGEABLE, maps=(FEATURES,))
        values = {path: _wanted(request.workspace, path) for path in paths}
        workspace, is_stale = workspaces.update(tx, workspace_id=workspace_id, values=values)
        return pb.UpdateWorkspaceResponse(
            workspace=workspace_message(workspace, tx.rules.catalog), analysis_reset=is_stale
        )

    def DeleteWorkspace(self, request: pb.DeleteWorkspaceRequest, tx: Transaction) -> pb.DeleteWorkspaceResponse:
        """Delete a workspace with everything below it."""
        count = workspaces.delete(tx, workspace_id=fields.identifier(request, "workspace_id"))
        return pb.DeleteWorkspaceResponse(deleted_workspaces=count)

    def ResolveWorkspace(self, request: pb.ResolveWorkspaceRequest, reading: Reading) -> pb.ResolveWorkspaceResponse:
        """Find a workspace by its slug."""
        organization = request.organization and check_id("organization", request.organization)
        slug = check_slug("slug", request.slug)
        found = workspace_slugs.resolve(reading, organization=organization, slug=slug)
        return pb.ResolveWorkspaceResponse(workspace_id=found)

    def GetPublicProfile(self, request: pb.GetPublicProfileRequest, reading: Reading) -> pb.GetPublicProfileResponse:
        """Show what everybody may see."""
        workspace = workspaces.public_profile(reading, workspace_id=fields.identifier(request, "workspace_id"))
        return message(pb.GetPublicProfileResponse, workspace)

    def ListUserWorkspaces(
        self, request: pb.ListUserWorkspacesRequest, reading: Reading
    ) -> pb.ListUserWorkspacesResponse:
        """List the actor's workspaces, for a switcher."""
        current = request.current_workspace_id
        switcher = workspace_lists.of_user(
            reading,
            query=fields.search(request, "query"),
            current=current and check_id("current_workspace_id", current),
            manageable_only=request.manageable_only,
            include_inherited=request.include_inherited if request.HasField("include_inherited") else None,
            include_without_access=request.include_without_access,
            after=self.pages.position(reading.by, request),
            limit=page_size(request),
        )
        response = message(pb.ListUserWorkspacesResponse, switcher)
        last = switcher.workspaces[-1].id if switcher.has_more else ""
        response.next_page_token = self.pages.token(reading.by, request, last)
        return response

    def ListOrganizationWorkspaces(
        self, request: pb.ListOrganizationWorkspacesRequest, reading: Reading
    ) -> pb.ListOrganizationWorkspacesResponse:
        """List the workspaces of one organization."""
        organization_id = fields.identifier(request, "organization_id")
        after = self.pages.position(reading.by, request)
        found, more = workspace_lists.of_organization(
            reading, organization_id=organization_id, after=after, limit=page_size(request)
        )
        token = self.pages.token(reading.by, request, found[-1].id if more else "")
        items = [message(pb.UserWorkspace, item) for item in found]
        return pb.ListOrganizationWorkspacesResponse(workspaces=items, next_page_token=token)

    def ListAllUserWorkspaces(
        self, request: pb.ListAllUserWorkspacesRequest, reading: Reading
    ) -> pb.ListAllUserWorkspacesResponse:
        """List the actor's workspaces by organization."""
        token = self.pages.position(reading.by, request)
        after = tuple(json.loads(token)) if token else None
        groups, last = workspace_lists.grouped(reading, after=after, limit=page_size(request))
        return pb.ListAllUserWorkspacesResponse(
            groups=[message(pb.OrganizationWorkspaces, group) for group in groups],
            next_page_token=self.pages.token(reading.by, request, json.dumps(last) if last else ""),
        )

    def ListChildWorkspaces(
        self, request: pb.ListChildWorkspacesRequest, reading: Reading
    ) -> pb.ListChildWorkspacesResponse:
        """List the children that the actor may view."""
        workspace_id = fields.identifier(request, "workspace_id")
        after = self.pages.position(reading.by, request)
        found, more = workspace_lists.children(
            reading, workspace_id=workspace_id, after=after, limit=page_size(request)
        )
        token = self.pages.token(reading.by, request, found[-1].id if more else "")
        items = [message(pb.UserWorkspace, item) for item in found]
        return pb.ListChildWorkspacesResponse(workspaces=items, next_page_token=token)

    def CheckFirstWorkspace(
        self,
        request: pb.CheckFirstWorkspaceRequest,  # noqa: ARG002 - it has no fields
        reading: Reading,
    ) -> pb.CheckFirstWorkspaceResponse:
        """Say whether the actor is in no workspace yet."""
        actor = reading.actor
        first = reading.on_loop(lambda facts, _rules, _now: workspace_lists.is_first_workspace(facts, actor))
        return pb.CheckFirstWorkspaceResponse(is_first_workspace=first)


def _new(request: pb.CreateWorkspaceRequest | pb.CreateChildWorkspaceRequest) -> dict[str, Any]:
    """Return what both kinds of new workspaces are given."""
    return {
        "name": request.name,
        "slug": request.slug,
        "domain": request.domain,
        "description": request.description,
        "image_url": request.image_url,
        "module_list": fields.modules(request),
        "settings": fields.settings(request.settings),
    }


def _wanted(workspace: pb.Workspace, path: str) -> Any:
    """Return the value that a path of the mask names."""
    if path == BRANDING:
        return fields.branding(workspace.settings.branding)
    if path in BRANDING_FIELDS:
        return getattr(workspace.settings.branding, path.removeprefix(f"{BRANDING}."))
    features = dict(workspace.settings.features)
    if path == FEATURES:
        return features
    if path.startswith(f"{FEATURES}."):
        return features.get(path.removeprefix(f"{FEATURES}."))
    return getattr(workspace, path)
