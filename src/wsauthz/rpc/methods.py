"""What every RPC needs, read from the descriptors: scope, question, place, and whether it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from wsauthz.model.errors import Denied, InvalidArgument, NotFound, NotOrgMember
from wsauthz.model.identifiers import check_id
from wsauthz.model.places import PLATFORM, PlaceKey, PlaceKind
from wsauthz.policy.catalog import CoreVocabulary, Reason
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.tenancy.transaction import not_found, refuse_unless_allowed
from wsauthz.v1 import (
    audit_pb2,
    authorization_pb2,
    invitations_pb2,
    memberships_pb2,
    options_pb2,
    organizations_pb2,
    policy_pb2,
    settings_pb2,
    users_pb2,
    vocabulary_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)

_FILES: Final = (
    authorization_pb2,
    users_pb2,
    organizations_pb2,
    workspaces_pb2,
    workspace_states_pb2,
    settings_pb2,
    memberships_pb2,
    invitations_pb2,
    policy_pb2,
    audit_pb2,
)
PLACE_FIELDS: Final[Mapping[str, PlaceKind]] = {
    "workspace_id": "workspace",
    "parent_workspace_id": "workspace",
    "organization_id": "organization",
}
"""Request fields that name a place, and the kind of it."""


class MethodWithoutRequirement(Exception):
    """A method that does not say what it needs: the server must not start with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What is asked where a request sets a field, in place of what its method asks."""

    field: str
    resource: str
    action: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC. ``resource`` empty: only about the actor, or only about the caller."""

    service: str
    full_service: str
    name: str
    full_name: str
    scope: str
    resource: str
    action: str
    place: str
    own: str
    """The request field with the user that is asked about, where actors may ask about themselves; empty: none."""
    alternative: Alternative | None
    writes: bool
    streams: bool
    """Whether it answers with a stream."""
    request_fields: frozenset[str]
    request: type[Message]
    answer: type[Message]

    @property
    def needs_actor(self) -> bool:
        """Whether somebody must be named for whom it is done."""
        return self.scope == "act-as" or bool(self.resource)

    def authorize(self, facts: Facts, rules: Ruleset, now: float, *, actor: str, request: Message) -> None:
        """Return if the actor may do this; to be called where the facts cannot change.

        Raises:
            Denied: a deactivated actor, or one that may view the place but not do this. NotFound: one that may not
            view it. NotOrgMember: instead of NotFound where an organization is joined with something new (REQ-042).
            InvalidArgument: the request names no place.

        """
        if facts.users.get(actor) is False:
            raise Denied(Reason.USER_INACTIVE, "This account is deactivated")
        if not self.resource:
            return

        def ask(resource: str, action: str, place: PlaceKey) -> Decision:
            return decide(facts, rules, now, subject=actor, place=place, resource=resource, action=action)

        asked: Method | Alternative = self
        if self.alternative is not None and request.HasField(self.alternative.field):
            asked = self.alternative
        target = _target(asked.place, request)
        if self.own and getattr(request, self.own) == actor:
            if facts.places.get(target) in facts.grants.get(actor, {}):
                return
            asked = Alternative(field=self.own, resource=target[0], action="view", place=asked.place)
        place = _decided_in(facts, asked.place, target)
        try:
            refuse_unless_allowed(rules, ask(asked.resource, asked.action, place), place, ask, target)
        except NotFound:
            if (asked.resource, asked.action, place[0]) == ("workspace", "create", "organization"):
                raise NotOrgMember from None
            raise


def _decided_in(facts: Facts, place: str, target: PlaceKey) -> PlaceKey:
    """Return the place where a question about the target is asked: there, or above it.

    Raises:
        NotFound: there is no such place.

    """
    if not place.startswith("parent:"):
        return target
    at = facts.places.get(target)
    if at is None or at.parent is None:
        raise not_found(target)
    return at.parent.key


def _target(place: str, request: Message) -> PlaceKey:
    """Return the place that the request names, in one of the fields in ``place``.

    Raises:
        InvalidArgument: it names none, or with a malformed id.

    """
    names = place.removeprefix("parent:").split("|")
    for name in names:
        if name == "platform":
            return PLATFORM
        value: str = getattr(request, name)
        if value:
            check_id(name, value)
            return (PLACE_FIELDS[name], value)
    raise InvalidArgument(names[0], "is required")


def methods() -> Mapping[str, Method]:
    """Return every RPC of this API by its full name, ``/wsauthz.v1.Service/Method``.

    Raises:
        MethodWithoutRequirement: one of them lacks the option ``requires``.

    """
    found: dict[str, Method] = {}
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for descriptor in service.methods:
                method = _method(service, descriptor)
                found[method.full_name] = method
    return found


def service_names() -> list[str]:
    """Return the full names of the services of this API."""
    return [service.full_name for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]


def core_vocabulary() -> CoreVocabulary:
    """Return the core vocabulary, as the proto declares it."""
    options: Any = vocabulary_pb2.DESCRIPTOR.GetOptions()
    return {
        resource.name: {action.name: action.requires_feature or None for action in resource.actions}
        for resource in options.Extensions[options_pb2.vocabulary]
    }


def _method(service: ServiceDescriptor, descriptor: MethodDescriptor) -> Method:
    options: Any = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.requires):
        message = f"{service.full_name}/{descriptor.name} lacks the option requires"
        raise MethodWithoutRequirement(message)
    requires = options.Extensions[options_pb2.requires]
    alternative = requires.alternative if requires.HasField("alternative") else None
    vocabulary = core_vocabulary()
    unknown = [
        asked
        for asked in (requires, alternative)
        if asked and asked.resource and asked.action not in vocabulary.get(asked.resource, ())
    ]
    if unknown:
        message = f"{service.full_name}/{descriptor.name} asks what the core vocabulary lacks"
        raise MethodWithoutRequirement(message)
    return Method(
        service=service.name,
        full_service=service.full_name,
        name=descriptor.name,
        full_name=f"/{service.full_name}/{descriptor.name}",
        scope=requires.scope,
        resource=requires.resource,
        action=requires.action,
        place=requires.place,
        own=requires.own,
        alternative=alternative
        and Alternative(
            field=alternative.field,
            resource=alternative.resource,
            action=alternative.action,
            place=alternative.place,
        ),
        writes=options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS,
        streams=descriptor.server_streaming,
        request_fields=frozenset(descriptor.input_type.fields_by_name),
        request=GetMessageClass(descriptor.input_type),
        answer=GetMessageClass(descriptor.output_type),
    )
