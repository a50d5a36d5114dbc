"""Invite codes: how the server makes its own, and how people write them."""

import re
import secrets
import unicodedata
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 20
_FORM: Final = re.compile(rf"[{_CROCKFORD}{_CROCKFORD.lower()}]{{{_LENGTH}}}")


def new_invite_code() -> str:
    """Return a fresh invite code: 100 random bits, in letters and digits that are not mistaken for each other."""
    return "".join(secrets.choice(_CROCKFORD) for _ in range(_LENGTH))


def read_invite_code(text: str) -> str:
    """Return the code that somebody has written in any case, with dashes and spaces; empty: it has another form."""
    bare = "".join(each for each in text if not each.isspace() and unicodedata.category(each) != "Pd")
    return bare.upper() if _FORM.fullmatch(bare) else ""
