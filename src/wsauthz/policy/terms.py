"""How users, roles, permissions and places are named in policies: prefixes keep them apart.

With bare names a user called ``admin`` would pass every admin check without a membership.
"""

from typing import Final

from wsauthz.model.places import PLATFORM, PlaceKey

CORE: Final = "core"
"""The module everybody has; resources without a module prefix are in it."""

EVERYONE: Final = "role:everyone"
"""Held by every active user at the platform; does not flow."""

ANY_STATE: Final = "any"


def role(name: str) -> str:
    """Return the node of a role."""
    return "role:" + name


def permission(name: str) -> str:
    """Return the node of an explicit permission."""
    return "perm:" + name


def user(user_id: str) -> str:
    """Return the subject of a user."""
    return "user:" + user_id


def place(key: PlaceKey) -> str:
    """Return a place as policy.csv writes it: ``platform``, ``organization:<id>``, ``workspace:<id>``."""
    return "platform" if key == PLATFORM else f"{key[0]}:{key[1]}"


def parse_place(text: str) -> PlaceKey | None:
    """Return the place that policy.csv names so; None if it names none."""
    if text == "platform":
        return PLATFORM
    kind, _, identifier = text.partition(":")
    if kind == "workspace" and identifier:
        return ("workspace", identifier)
    if kind == "organization" and identifier:
        return ("organization", identifier)
    return None


def module_of(resource_type: str) -> str:
    """Return the module of ``dam:asset`` (``dam``) or ``event`` (``core``)."""
    module, colon, _ = resource_type.partition(":")
    return module if colon else CORE
