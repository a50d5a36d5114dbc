"""Fields of requests as plain values, and the complaints about those that no value can be made of."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import InvalidArgument, shown
from wsauthz.model.identifiers import check_id, check_user_id
from wsauthz.model.places import PlaceKey, PlaceKind
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import Branding, WorkspaceSettings
from wsauthz.v1 import workspaces_pb2 as pb

_PLACES: Final[tuple[PlaceKind, ...]] = ("workspace", "organization")
_LONGEST_SEARCH: Final = 255


def place(request: Any) -> PlaceKey:
    """Return the workspace or organization that a request names.

    Raises:
        InvalidArgument: it names none, or with a malformed id.

    """
    for kind in _PLACES:
        if value := getattr(request, f"{kind}_id"):
            return (kind, check_id(f"{kind}_id", value))
    raise InvalidArgument("workspace_id", "is required, or organization_id")


def user_id(request: Any) -> str:
    """Return the user that a request names.

    Raises:
        InvalidArgument: it is missing or malformed.

    """
    return check_user_id("user_id", request.user_id)


def identifier(request: Any, name: str) -> str:
    """Return the id in a field.

    Raises:
        InvalidArgument: it is missing or malformed.

    """
    return check_id(name, getattr(request, name))


def given(request: Any, *names: str) -> dict[str, Any]:
    """Return the fields that are set, by name; the others are to stay as they are, or get their defaults."""
    return {name: getattr(request, name) for name in names if request.HasField(name)}


def modules(request: Any) -> tuple[str, ...] | None:
    """Return the module list; None: unset, which is not the empty one."""
    return tuple(request.modules.modules) if request.HasField("modules") else None


def instant(request: Any, name: str) -> datetime | None:
    """Return the time in a field; None: unset.

    Raises:
        InvalidArgument: it is outside of the years 1 to 9999.

    """
    if not request.HasField(name):
        return None
    try:
        found: datetime = getattr(request, name).ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError):
        raise InvalidArgument(name, "must be between the years 1 and 9999") from None
    return found


def settings(message: pb.WorkspaceSettings) -> WorkspaceSettings:
    """Return the settings of a workspace."""
    return WorkspaceSettings(branding=branding(message.branding), features=dict(message.features))


def branding(message: pb.Branding) -> Branding:
    """Return how a workspace is to look."""
    return Branding(logo=message.logo, primary_color=message.primary_color)


def user_kind(request: Any) -> UserKind | None:
    """Return the kind of a user; None: unspecified.

    Raises:
        InvalidArgument: there is no such kind.

    """
    try:
        return UserKind(request.kind) if request.kind else None
    except ValueError:
        raise InvalidArgument("kind", "must be human or service") from None


def mask(request: Any, known: Collection[str], *, maps: Collection[str] = ()) -> list[str]:
    """Return the paths of the update mask, each once; of maps also ``<path>.<key>``.

    Raises:
        InvalidArgument: it names none, or one that cannot be changed.

    """
    paths = list(dict.fromkeys(request.update_mask.paths))
    if not paths:
        raise InvalidArgument("update_mask", "must name a field")
    for path in paths:
        if path not in known and not any(path.startswith(f"{each}.") for each in maps):
            raise InvalidArgument("update_mask", f"{shown(path)} cannot be changed here")
    return paths


def search(request: Any, name: str) -> str:
    """Return the text that a list is searched for, in the form that names have.

    Raises:
        InvalidArgument: it is too long, or holds NUL, which no text does.

    """
    text = texts.spaced(getattr(request, name)).strip()
    if len(text) > _LONGEST_SEARCH or "\0" in text:
        raise InvalidArgument(name, f"must be at most {_LONGEST_SEARCH} characters of text")
    return text
