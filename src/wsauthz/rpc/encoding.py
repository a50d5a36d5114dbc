"""Nouns as messages, by the names of their fields."""

from dataclasses import is_dataclass, replace
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from wsauthz.model.workspaces import Workspace
from wsauthz.policy.catalog import Catalog
from wsauthz.tenancy.profiles import Profile
from wsauthz.v1 import places_pb2, users_pb2, workspaces_pb2

MessageT = TypeVar("MessageT", bound=Message)

_LISTS: Final = {places_pb2.ModuleList.DESCRIPTOR: "modules", workspaces_pb2.ProviderList.DESCRIPTOR: "providers"}
"""Messages around a list whose absence means something, and the field that holds it."""
_PLACE: Final = places_pb2.Place.DESCRIPTOR


def message(kind: type[MessageT], noun: Any) -> MessageT:
    """Return a dataclass as a message; what only one of the two has is left out, and so is None."""
    return kind(**_values(kind.DESCRIPTOR, noun))


def workspace_message(workspace: Workspace, catalog: Catalog) -> workspaces_pb2.Workspace:
    """Return a workspace as a message, with the providers that run."""
    return message(
        workspaces_pb2.Workspace, replace(workspace, enabled_providers=catalog.running(workspace.enabled_providers))
    )


def profile_message(profile: Profile) -> users_pb2.User:
    """Return a user as a message, as its profile shows it."""
    shown = message(users_pb2.User, profile.user)
    shown.lost_default_workspace = profile.lost_default_workspace
    return shown


def _values(kind: Any, noun: Any) -> dict[str, Any]:
    found = {field.name: (field, getattr(noun, field.name, None)) for field in kind.fields}
    return {name: _value(field, value) for name, (field, value) in found.items() if value is not None}


def _value(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is None:
        return value
    if kind in _LISTS:
        return {_LISTS[kind]: value}
    if kind is _PLACE:
        place, identifier = value
        return {"platform": True} if place == "platform" else {f"{place}_id": identifier}
    if isinstance(value, tuple | list):
        return [_values(kind, each) for each in value]
    return _values(kind, value) if is_dataclass(value) else value
