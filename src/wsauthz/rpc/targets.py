"""The target of a request, for the audit of rejected attempts."""

from collections.abc import Mapping
from typing import Any, Final

from wsauthz.model.identifiers import is_id, is_user_id
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.targets import Target
from wsauthz.rpc.methods import PLACE_FIELDS, Method

_NOUNS: Final[Mapping[str, str]] = {"user_id": "user", "invitation_id": "invitation"}
"""Field -> the kind of what it names, if it is not the place itself."""


def named(method: Method, request: Any, actor: str) -> Target:
    """Return what a request is about, by the ids in it.

    It may have been rejected before anybody read them, so malformed ids count as absent; texts are never repeated.
    """
    place = _place(method, request)
    for field, kind in _NOUNS.items():
        value = getattr(request, field, "")
        if value and is_user_id(value):
            return Target(kind=kind, identifier=value, place=place)
    if place != PLATFORM:
        return Target(kind=place[0], identifier=place[1], place=place)
    if method.resource:
        return Target(kind=method.resource)
    return Target(kind="user", identifier=actor)


def _place(method: Method, request: Any) -> PlaceKey:
    """Return the place that the request names, first by the fields that the method is decided by."""
    for field in (*method.place.removeprefix("parent:").split("|"), *PLACE_FIELDS):
        value = getattr(request, field, "")
        if value and is_id(value):
            return (PLACE_FIELDS[field], value)
    return PLATFORM
