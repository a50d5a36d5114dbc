"""Finding places among the facts of a transaction, and what must be so before anybody or anything is added to them."""

from wsauthz.model.errors import PlaceInactive, PlaceSuspended
from wsauthz.model.places import PlaceKey, State
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.tenancy.transaction import not_found


def find(facts: Facts, place: PlaceKey) -> Place:
    """Return the place.

    Raises:
        WorkspaceNotFound, OrganizationNotFound: there is none, or it was deleted.

    """
    at = facts.places.get(place)
    if at is None:
        raise not_found(place)
    return at


def check_open(at: Place) -> None:
    """Return if somebody may be added: the rules cannot say so, because who joins has no role yet.

    Raises:
        PlaceInactive, PlaceSuspended: the place is so, or one above it.

    """
    if at.state == State.INACTIVE:
        raise PlaceInactive
    if at.state == State.SUSPENDED:
        raise PlaceSuspended


def organization_of(at: Place) -> str | None:
    """Return the id of the organization that a place is in, or is; None if it stands alone."""
    return next((place.key[1] for place in at.chain if place.key[0] == "organization"), None)


def depth(at: Place) -> int:
    """Return how many workspaces there are from the root to this one, both counted."""
    return sum(place.key[0] == "workspace" for place in at.chain)
