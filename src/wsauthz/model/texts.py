"""The definition of text: characters, forms and lengths of the texts of nouns and bundles, whatever brings them."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

import idna
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from wsauthz.model.errors import InvalidArgument
from wsauthz.model.identifiers import slugify
from wsauthz.model.workspaces import Branding

NAME_MOST: Final = 255
SLUG_MOST: Final = 100
URL_MOST: Final = 2_048
REASON_MOST: Final = 1_000
PLAN_MOST: Final = 100
PLAN_TYPE_MOST: Final = 64
EMAIL_MOST: Final = 254
"""RFC 5321: what fits into the path of a message."""
_FEATURES_MOST: Final = 100
_REASON_SHOWN: Final = 200

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

_REJECTED: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, invisible formatting, private use, surrogates, separators of lines and paragraphs."""
_UNSEEN: Final = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xFFF0, 0xFFF9),
            *range(0xE0000, 0xE1000),
            *range(0xFDD0, 0xFDF0),
            *(plane << 16 | last for plane in range(17) for last in (0xFFFE, 0xFFFF)),
        ),
    )
)
"""Fillers, blanks and variation selectors, which are invisible whatever their category; and what is no character."""
_JOINERS: Final = "\u200c\u200d"
_PICTURE: Final = "\ufe0f"
"""The variation selector that makes a symbol a picture."""
_IN_PROSE: Final = frozenset("\t\n\r\u00ad\u061c\u200b\u200e\u200f\u2028\u2029" + _JOINERS)
"""What running text needs of the rejected ones: line breaks, breaks within words, directions of single characters."""
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
"""Scripts with letters that look like those of another one of these."""
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_FEATURE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SPECIAL: Final = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)


def line(field: str, value: str, most: int, *, required: bool = False) -> str:
    """Return the text trimmed, in NFC, with ordinary spaces; ``most`` counts characters.

    Raises:
        InvalidArgument: it is too long, holds a control, invisible or private character, begins with a combining mark,
        or is empty though required.

    """
    text = value.strip()
    if not text.isascii():
        text = spaced(text).strip()
    if len(text) > most:
        raise InvalidArgument(field, f"must be at most {most:,} characters long")
    if required and not text:
        raise InvalidArgument(field, "must not be empty")
    if text.isascii() and text.isprintable():
        return text
    for at, character in enumerate(text):
        if _is_rejected(character) and not _is_needed(text, at):
            raise InvalidArgument(field, f"must not hold the character {_named(character)}")
    if unicodedata.category(text[0]).startswith("M"):
        raise InvalidArgument(field, f"must not begin with {_named(text[0])}, which combines with what is before it")
    return text


def prose(field: str, value: str, most: int) -> str:
    """Return the text trimmed; it may have several lines, tabs, and what breaks words or sets their direction.

    Raises:
        InvalidArgument: it is too long or holds another control, invisible or private character.

    """
    text = value.strip()
    if len(text) > most:
        raise InvalidArgument(field, f"must be at most {most:,} characters long")
    for at, character in enumerate(text):
        if _is_rejected(character) and character not in _IN_PROSE and not _is_needed(text, at):
            raise InvalidArgument(field, f"must not hold the character {_named(character)}")
    return text


def spaced(value: str) -> str:
    """Return the text in NFC, with an ordinary space for every kind of space: as names are compared with it."""
    text = unicodedata.normalize("NFC", value)
    return "".join(" " if unicodedata.category(each) == "Zs" else each for each in text)


def email(value: str, *, field: str = "email") -> str:
    """Return the address in the form that is stored, compared and unique: NFC, lower case, the domain in Unicode.

    Domains need no dot and may be special, such as ``corp.local``: nothing is sent to them from here.

    Raises:
        InvalidArgument: it is not an address alone, or holds characters that are invisible or look like others.

    """
    text = unicodedata.normalize("NFC", value.strip()).lower()
    if len(text) > EMAIL_MOST:
        raise InvalidArgument(field, f"must be at most {EMAIL_MOST} characters long")
    hidden = next(filter(_is_rejected, text), None)  # in domains the library would drop some of them
    if hidden is not None:
        raise InvalidArgument(field, f"must not hold the character {_named(hidden)}")
    # The library rejects special domains as undeliverable; the labels before are checked below one that it takes.
    above = ".example" if f".{text.rpartition('@')[2]}".endswith(_SPECIAL) else ""
    try:
        address = validate_email(
            text + above,
            allow_display_name=False,
            allow_domain_literal=False,
            allow_quoted_local=False,
            allow_smtputf8=True,
            check_deliverability=False,
            globally_deliverable=False,
        ).normalized.removesuffix(above)
    except EmailNotValidError as wrong:
        raise InvalidArgument(field, f"must be an email address. {str(wrong)[:_REASON_SHOWN]}") from None
    if unicodedata.normalize("NFKC", address) != address or _mixes(address):
        raise InvalidArgument(field, "must not hold characters that look like others")
    return address


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


def branding(value: Branding, *, field: str = "settings.branding") -> Branding:
    """Return the branding with the logo trimmed.

    Raises:
        InvalidArgument: the logo is too long, or the colour is not ``#RRGGBB``.

    """
    color = value.primary_color
    if color and not _COLOR.fullmatch(color):
        raise InvalidArgument(f"{field}.primary_color", "must be #RRGGBB")
    return Branding(logo=line(f"{field}.logo", value.logo, URL_MOST), primary_color=color)


def feature(name: str, *, field: str) -> str:
    """Return the name of a feature flag unchanged.

    Raises:
        InvalidArgument: it is not one.

    """
    if not _FEATURE.fullmatch(name):
        raise InvalidArgument(field, "names of features must be 1 to 64 characters of [A-Za-z0-9_.-]")
    return name


def features(value: Mapping[str, bool], *, field: str = "settings.features") -> dict[str, bool]:
    """Return the feature flags, by name.

    Raises:
        InvalidArgument: there are too many, or a name is none.

    """
    if len(value) > _FEATURES_MOST:
        raise InvalidArgument(field, f"must be at most {_FEATURES_MOST} flags")
    return {feature(name, field=field): value[name] for name in sorted(value)}


def _is_rejected(character: str) -> bool:
    return unicodedata.category(character) in _REJECTED or character in _UNSEEN


def _is_needed(text: str, at: int) -> bool:
    """Tell whether an invisible character is part of what its neighbours write: of a script, or of a picture."""
    character, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if not (before and (character == _PICTURE or character in _JOINERS)):
        return False
    is_symbol = unicodedata.category(before).startswith("S")
    if character == _PICTURE:
        return is_symbol or after == "\N{COMBINING ENCLOSING KEYCAP}"
    if after and (is_symbol or before == _PICTURE) and unicodedata.category(after).startswith("S"):
        return character == _JOINERS[1]
    try:
        return idna.valid_contextj(text, at)
    except ValueError:  # next to a character that Unicode does not know yet
        return False


def _mixes(address: str) -> bool:
    """Tell whether letters of scripts that look alike stand side by side."""
    for word in _LETTERS.findall(address):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
        if len(scripts & _ALIKE) > 1:
            return True
    return False


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} ({name})" if name else f"U+{ord(character):04X}"
