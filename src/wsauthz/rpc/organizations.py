"""OrganizationService: the roofs over workspaces."""

from wsauthz.rpc import fields
from wsauthz.rpc.encoding import message
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.tenancy import organizations
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.v1 import organizations_pb2 as pb


class OrganizationService:
    """Creates, shows, renames, suspends, reinstates and deletes organizations."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, tx: Transaction
    ) -> pb.CreateOrganizationResponse:
        """Create an organization."""
        organization = organizations.create(tx, name=request.name, slug=request.slug)
        return pb.CreateOrganizationResponse(organization=message(pb.Organization, organization))

    def GetOrganization(self, request: pb.GetOrganizationRequest, reading: Reading) -> pb.GetOrganizationResponse:
        """Show one organization."""
        organization_id = fields.identifier(request, "organization_id")
        organization, state = organizations.get(reading, organization_id=organization_id)
        return pb.GetOrganizationResponse(organization=message(pb.Organization, organization), state=state.value)  # type: ignore[arg-type]  # the numbers are those of places.proto

    def ListUserOrganizations(
        self, request: pb.ListUserOrganizationsRequest, reading: Reading
    ) -> pb.ListUserOrganizationsResponse:
        """List the actor's organizations."""
        after = self.pages.position(reading.by, request)
        found, more = organizations.list_of_user(reading, after=after, limit=page_size(request))
        last = found[-1].organization.id if more else ""
        return pb.ListUserOrganizationsResponse(
            organizations=[message(pb.UserOrganization, each) for each in found],
            next_page_token=self.pages.token(reading.by, request, last),
        )

    def SuspendOrganization(
        self, request: pb.SuspendOrganizationRequest, tx: Transaction
    ) -> pb.SuspendOrganizationResponse:
        """Suspend an organization."""
        organization_id = fields.identifier(request, "organization_id")
        organization = organizations.suspend(tx, organization_id=organization_id)
        return pb.SuspendOrganizationResponse(organization=message(pb.Organization, organization))

    def ReinstateOrganization(
        self, request: pb.ReinstateOrganizationRequest, tx: Transaction
    ) -> pb.ReinstateOrganizationResponse:
        """Lift an organization's suspension."""
        organization_id = fields.identifier(request, "organization_id")
        organization = organizations.reinstate(tx, organization_id=organization_id)
        return pb.ReinstateOrganizationResponse(organization=message(pb.Organization, organization))

    def UpdateOrganizationName(
        self, request: pb.UpdateOrganizationNameRequest, tx: Transaction
    ) -> pb.UpdateOrganizationNameResponse:
        """Rename an organization."""
        organization_id = fields.identifier(request, "organization_id")
        workspace_id = fields.identifier(request, "workspace_id") if request.workspace_id else ""
        organization = organizations.rename(
            tx, organization_id=organization_id, name=request.name, workspace_id=workspace_id
        )
        return pb.UpdateOrganizationNameResponse(organization=message(pb.Organization, organization))

    def DeleteOrganization(
        self, request: pb.DeleteOrganizationRequest, tx: Transaction
    ) -> pb.DeleteOrganizationResponse:
        """Delete an organization with everything in it."""
        count = organizations.delete(tx, organization_id=fields.identifier(request, "organization_id"))
        return pb.DeleteOrganizationResponse(deleted_workspaces=count)
