"""Which ids are accepted at the edge, and how the server makes its own (product.md section 1)."""

import re
import secrets
from typing import Final

from wsauthz.model.errors import InvalidArgument

LONGEST_ID: Final = 128
"""Characters of an id."""

_ID = re.compile(r"(?!-)(?!\.+\Z)[A-Za-z0-9_.@+-]{1,128}\Z")
_USER_ID = re.compile(r"(?!-)(?!\.+\Z)[A-Za-z0-9_.@+|:/=~-]{1,128}\Z")
# Printable ASCII without space, quotes, comma, "#", "*" and backslash.
_RESOURCE_ID = re.compile(r"[!$%&()+\-./0-9:;<=>?@A-Z\[\]^_a-z{|}~]{1,256}\Z")
_SLUG = re.compile(r"(?=.{1,100}\Z)[a-z0-9]+(-[a-z0-9]+)*\Z")
_NANO_BYTES = 12


def new_id(noun: str) -> str:
    """Return a fresh id such as ``workspace_V1StGXR8_Z5jdHi6`` (REQ-003: nano id of 16 characters)."""
    # Twelve bytes in base64 are sixteen characters of A-Z, a-z, 0-9, "_" and "-". Choosing them one by one took a third
    # of the time of an import.
    return f"{noun}_{secrets.token_urlsafe(_NANO_BYTES)}"


def is_id(value: str) -> bool:
    """Tell whether the value may be the id of a workspace, an organization, a membership or an invitation."""
    return _ID.match(value) is not None


def is_user_id(value: str) -> bool:
    """Tell whether the value may be a user id; identity providers use more characters than we do."""
    return _USER_ID.match(value) is not None


def is_resource_id(value: str) -> bool:
    """Tell whether the value may be the part of a resource after the slash."""
    return _RESOURCE_ID.match(value) is not None


def is_slug(value: str) -> bool:
    """Tell whether the value can be the slug of a workspace or an organization."""
    return _SLUG.match(value) is not None


def check_slug(field: str, value: str) -> str:
    """Return the slug unchanged.

    Raises:
        InvalidArgument: nothing can have this slug.

    """
    if not is_slug(value):
        raise InvalidArgument(field, "must be 1 to 100 characters of [a-z0-9], with single '-' between them")
    return value


def check_id(field: str, value: str) -> str:
    """Return the id unchanged.

    Raises:
        InvalidArgument: the value is empty or has a character an id may not have.

    """
    if _ID.match(value) is None:
        raise InvalidArgument(field, "must be 1 to 128 characters of [A-Za-z0-9_.@+-], not starting with '-'")
    return value


def check_user_id(field: str, value: str) -> str:
    """Return the user id unchanged.

    Raises:
        InvalidArgument: the value is empty or has a character a user id may not have.

    """
    if _USER_ID.match(value) is None:
        raise InvalidArgument(field, "must be 1 to 128 characters of [A-Za-z0-9_.@+|:/=~-], not starting with '-'")
    return value


def slugify(name: str, fallback: str) -> str:
    """Return the name in lower case, every run outside ``[a-z0-9]`` as one ``-``; the fallback if nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or fallback
