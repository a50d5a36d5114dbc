"""The findings of a check of rows, and the management calls that would repair it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsauthz.model.memberships import Terms
from wsauthz.model.moments import rfc3339
from wsauthz.model.places import PlaceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A management call; ``request`` is the request in the JSON of protobuf."""

    method: str
    request: Mapping[str, Any]
    actor: str | None = None
    """The user who must make it; None: an operator of the platform; empty: it needs no actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row that needs a look."""

    text: str
    calls: tuple[Call, ...]
    """What would repair it; of several calls one is enough. Empty: no management call reaches the row."""


def update_member(place: PlaceKey, user: str, **values: Any) -> Call:
    """Return the call that gives a membership these values; ``modules`` and ``expires_at`` None: no limit."""
    given = {name: value for name, value in values.items() if value is not None}
    mask = ",".join(_camel(name) for name in values)
    request = {**_named(place), "user_id": user, **_json(given), "update_mask": mask}
    return Call(method="MembershipService/UpdateMember", request=request)


def add_member(place: PlaceKey, user: str, role: str, terms: Terms) -> Call:
    """Return the call that makes the user a member on these terms."""
    given = {name: value for name, value in terms._asdict().items() if value is not None}
    request = {**_named(place), "user_id": user, "role": role, **_json(given)}
    return Call(method="MembershipService/AddMember", request=request)


def remove_member(place: PlaceKey, user: str) -> Call:
    """Return the call that removes the user."""
    return Call(method="MembershipService/RemoveMember", request={**_named(place), "user_id": user})


def upsert_user(user: str, **values: Any) -> Call:
    """Return the call that mirrors the user."""
    return Call(method="UserService/UpsertUser", request={"user_id": user, **values}, actor="")


def shown(place: PlaceKey) -> str:
    """Return a place in words."""
    return " ".join(filter(None, place))


def _named(place: PlaceKey) -> dict[str, str]:
    return {f"{place[0]}_id": place[1]}


def _json(values: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(values)
    if "modules" in found:
        found["modules"] = {"modules": list(found["modules"])}
    if "expires_at" in found:
        found["expires_at"] = rfc3339(found["expires_at"])
    return found


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)
