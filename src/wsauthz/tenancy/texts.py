"""What the texts of nouns may hold: trimmed, of limited length, without control characters."""

import re
from collections.abc import Mapping
from typing import Final

from wsauthz.model.errors import InvalidArgument
from wsauthz.model.identifiers import slugify
from wsauthz.model.users import normalize_email
from wsauthz.model.workspaces import Branding

NAME_MOST: Final = 255
SLUG_MOST: Final = 100
URL_MOST: Final = 2_048
REASON_MOST: Final = 1_000
_EMAIL_MOST: Final = 320
_FEATURES_MOST: Final = 100

_LINES: Final[Mapping[str, int]] = {
    "name": NAME_MOST,
    "domain": 256,
    "image_url": URL_MOST,
    "website": 255,
    "phone": 50,
    "social_x": 255,
    "social_facebook": 255,
    "social_linkedin": 255,
    "social_instagram": 255,
    "social_github": 255,
}
_PROSE: Final[Mapping[str, int]] = {"description": 10_000, "notes": 10_000}
WORKSPACE_TEXTS: Final = (*_LINES, *_PROSE)
"""The text fields of a workspace that its managers may change."""

# Surrogates cannot be stored as UTF-8, and PostgreSQL refuses NUL.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_FEATURE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def line(field: str, value: str, most: int, *, required: bool = False) -> str:
    """Return the text trimmed; ``most`` counts characters.

    Raises:
        InvalidArgument: it is too long, holds a control character, or is empty though required.

    """
    text = _limited(field, value, most, _CONTROL)
    if required and not text:
        raise InvalidArgument(field, "must not be empty")
    return text


def prose(field: str, value: str, most: int) -> str:
    """Return the text trimmed; it may have several lines, and tabs.

    Raises:
        InvalidArgument: it is too long or holds another control character.

    """
    return _limited(field, value, most, _CONTROL_IN_PROSE)


def workspace_text(field: str, value: str) -> str:
    """Return one of the texts of a workspace, trimmed.

    Raises:
        InvalidArgument: it is not what the field may hold.

    """
    if field in _PROSE:
        return prose(field, value, _PROSE[field])
    return line(field, value, _LINES[field], required=field == "name")


def slug(value: str, *, field: str = "slug") -> str:
    """Return an explicit slug as it is stored: lower-case, with every run outside ``[a-z0-9]`` as one ``-``.

    Raises:
        InvalidArgument: it is too long, or nothing is left of it.

    """
    found = slugify(line(field, value, SLUG_MOST), "")
    if not found:
        raise InvalidArgument(field, "must hold a letter or a digit")
    return found


def email(value: str) -> str:
    """Return the address in the form that is stored and compared.

    Raises:
        InvalidArgument: it is no address.

    """
    address = normalize_email(line("email", value, _EMAIL_MOST))
    if len(address) > _EMAIL_MOST or not _EMAIL.fullmatch(address):
        raise InvalidArgument("email", "must be an email address")
    return address


def branding(value: Branding, *, field: str = "settings.branding") -> Branding:
    """Return the branding with the logo trimmed.

    Raises:
        InvalidArgument: the logo is too long, or the colour is not ``#RRGGBB``.

    """
    color = value.primary_color
    if color and not _COLOR.fullmatch(color):
        raise InvalidArgument(f"{field}.primary_color", "must be #RRGGBB")
    return Branding(logo=line(f"{field}.logo", value.logo, URL_MOST), primary_color=color)


def features(value: Mapping[str, bool], *, field: str = "settings.features") -> dict[str, bool]:
    """Return the feature flags, by name.

    Raises:
        InvalidArgument: there are too many, or a name is none.

    """
    if len(value) > _FEATURES_MOST:
        raise InvalidArgument(field, f"must be at most {_FEATURES_MOST} flags")
    if not all(_FEATURE.fullmatch(name) for name in value):
        raise InvalidArgument(field, "names must be 1 to 64 characters of [A-Za-z0-9_.-]")
    return {name: value[name] for name in sorted(value)}


def _limited(field: str, value: str, most: int, refused: re.Pattern[str]) -> str:
    text = value.strip()
    if len(text) > most:
        raise InvalidArgument(field, f"must be at most {most:,} characters long")
    if refused.search(text):
        raise InvalidArgument(field, "must not hold control characters")
    return text
