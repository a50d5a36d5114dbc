"""The subject of an audit entry."""

from dataclasses import dataclass

from wsauthz.model.places import PLATFORM, PlaceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was changed or was to be changed, and the place whose audit lists it; without an id it is new or unknown."""

    kind: str = ""
    """user, organization, workspace, membership, invitation ..."""
    identifier: str = ""
    place: PlaceKey = PLATFORM
