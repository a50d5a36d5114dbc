"""The other questions of AuthorizationService: routes, a user's access, and the reverse lookups. Runs on the loop."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.model.errors import InvalidArgument, SlugAmbiguous
from wsauthz.model.identifiers import check_id, check_user_id, is_slug
from wsauthz.policy import lookup
from wsauthz.policy.access import Access, OwnMembership, access
from wsauthz.policy.decision import SUBSCRIPTION_EXPIRED
from wsauthz.policy.guards import RouteDecision, check_route
from wsauthz.policy.place import Place
from wsauthz.policy.remedies import remedy
from wsauthz.replica.replica import Replica
from wsauthz.rpc.authorization import check_module, check_resource, place_of
from wsauthz.rpc.decisions import DecisionIds, denial, held_role, remedy_message, timestamp
from wsauthz.rpc.pages import Pages, page_size
from wsauthz.rpc.running import after_reading, on_loop
from wsauthz.tenancy.transaction import Caller, Reading, not_found
from wsauthz.tenancy.workspace_slugs import Route, route
from wsauthz.v1 import authorization_pb2 as pb

Read = Callable[[Callable[[Reading], Route]], Awaitable[Route]]

MOST_GUARDS: Final = 100
"""Guards of one CheckRoute: each costs a decision, and a message has room for tens of thousands."""


class AccessQueries:
    """The methods of AuthorizationService that are not one decision."""

    def __init__(self, replica: Replica, metrics: Metrics, pages: Pages, ids: DecisionIds) -> None:
        self.replica = replica
        self.metrics = metrics
        self.pages = pages
        self.ids = ids

    @after_reading
    async def CheckRoute(self, request: pb.CheckRouteRequest, by: Caller, read: Read) -> pb.CheckRouteResponse:  # noqa: ARG002 - uniform
        """Run the route guards."""
        replica = self.replica
        subject = check_user_id("subject", request.subject)
        if len(request.guards) > MOST_GUARDS:
            raise InvalidArgument("guards", f"must be at most {MOST_GUARDS}")
        organization = request.organization and check_id("organization", request.organization)
        warnings: list[str] = []
        named = await self._named(request, subject, organization, read, warnings)
        found = check_route(
            replica.facts,
            replica.rules,
            replica.now(),
            subject=subject,
            workspace_id=named.workspace_id,
            guards=request.guards,
            required_module=check_module(request.required_module),
            parent_workspace_id=named.parent_workspace_id,
        )
        decision = found.decision
        self.metrics.decisions["" if decision.allowed else decision.reasons[0]] += 1
        denied, of_remedy = self._route_denial(found, request)
        return pb.CheckRouteResponse(
            decision=pb.DECISION_ALLOW if decision.allowed else pb.DECISION_DENY,
            denial=denied,
            warnings=[*decision.warnings, *warnings, *of_remedy],
            revision=replica.token,
            policy_version=replica.policy.bundle.version,
            decision_id=self.ids.next(),
            workspace_id=named.workspace_id if ("workspace", named.workspace_id) in replica.facts.places else "",
        )

    async def _named(
        self, request: pb.CheckRouteRequest, subject: str, organization: str, read: Read, warnings: list[str]
    ) -> Route:
        """Return the ids of the workspaces that the route names, by slugs too where the catalog takes them."""
        replica = self.replica
        named = Route(request.workspace_id, request.parent_workspace_id)
        texts = (named.workspace_id, named.parent_workspace_id)
        slugs = [text for text in texts if is_slug(text) and ("workspace", text) not in replica.facts.places]
        if not slugs or not replica.rules.catalog.by_slug:
            return named
        try:
            return await read(partial(route, user=subject, organization=organization, wanted=named))
        except SlugAmbiguous as ambiguous:
            warnings.append(ambiguous.reason)
            return named

    @on_loop
    def GetAccess(self, request: pb.GetAccessRequest, by: Caller) -> pb.GetAccessResponse:  # noqa: ARG002 - uniform
        """Say what the subject holds and may do in one place."""
        replica = self.replica
        place = place_of(request)
        subject = check_user_id("subject", request.subject)
        if place is None:
            raise InvalidArgument("workspace_id", "is required")
        found = access(replica.facts, replica.rules, replica.now(), subject=subject, place=place)
        if found is None:
            raise not_found(place)
        response = access_message(found, replica.facts.places[place])
        response.policy_version = replica.policy.bundle.version
        response.etag = hashlib.sha256(response.SerializeToString(deterministic=True)).hexdigest()[:16]
        if response.etag == request.if_none_match:
            response = pb.GetAccessResponse(etag=response.etag, not_modified=True)
        response.revision = replica.token
        return response

    @on_loop
    def LookupWorkspaces(self, request: pb.LookupWorkspacesRequest, by: Caller) -> pb.LookupWorkspacesResponse:
        """List where the subject may do it."""
        replica = self.replica
        found, following = lookup.workspaces(
            replica.facts,
            replica.rules,
            replica.now(),
            subject=check_user_id("subject", request.subject),
            resource=check_resource(request.resource),
            action=request.action,
            required_module=check_module(request.required_module),
            after=self.pages.position(by, request),
            limit=page_size(request),
        )
        return pb.LookupWorkspacesResponse(
            workspace_ids=found,
            next_page_token=self.pages.token(by, request, following),
            revision=replica.token,
            policy_version=replica.policy.bundle.version,
        )

    @on_loop
    def LookupSubjects(self, request: pb.LookupSubjectsRequest, by: Caller) -> pb.LookupSubjectsResponse:
        """List who may do it in one place."""
        replica = self.replica
        place = place_of(request)
        resource = check_resource(request.resource)
        found, following = lookup.subjects(
            replica.facts,
            replica.rules,
            replica.now(),
            place=place or ("workspace", ""),
            resource=resource,
            action=request.action,
            required_module=check_module(request.required_module),
            after=self.pages.position(by, request),
            limit=page_size(request),
        )
        return pb.LookupSubjectsResponse(
            user_ids=found,
            next_page_token=self.pages.token(by, request, following),
            revision=replica.token,
            policy_version=replica.policy.bundle.version,
        )

    def _route_denial(
        self, route: RouteDecision, request: pb.CheckRouteRequest
    ) -> tuple[pb.Denial | None, tuple[str, ...]]:
        """Return the denial, if it is one, and what its remedy warns of."""
        if route.answer is None:
            return None, ()
        replica, decision = self.replica, route.decision
        asked = {"subject": request.subject, "resource": "workspace", "action": route.action}
        facts, rules, now, module = replica.facts, replica.rules, replica.now(), request.required_module
        fix = remedy(facts, rules, now, decision, **asked, required_module=module)
        message = denial(decision, route.answer, remedy_message(fix), route.guard, request.workspace_id)
        return message, (fix.warning,) if fix.warning else ()


def access_message(found: Access, place: Place) -> pb.GetAccessResponse:
    """Return what a user holds in a place as a message, without versions."""
    return pb.GetAccessResponse(
        role=found.role,
        roles=[held_role(held) for held in found.roles],
        permissions=found.permissions,
        modules=found.modules,
        is_active=found.is_active,
        membership=_membership(found.membership),
        is_owner=found.is_owner,
        can_manage_workspace=found.may("workspace", "update"),
        can_create_child=found.may("workspace", "create_child"),
        can_customize_branding=found.may("workspace", "customize_branding"),
        allowed={name: pb.ActionList(actions=actions) for name, actions in found.allowed.items()},
        state=place.state.value,  # type: ignore[arg-type]  # the numbers are those of places.proto
        warnings=[SUBSCRIPTION_EXPIRED] if place.is_lapsed else [],
    )


def _membership(own: OwnMembership | None) -> pb.AccessMembership | None:
    if own is None:
        return None
    until = None if own.expires_at is None else timestamp(own.expires_at)
    return pb.AccessMembership(role=own.role, is_active=own.is_active, expires_at=until)
