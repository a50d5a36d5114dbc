"""Page tokens: a keyset position, signed for one caller, actor, method and filter (api.md)."""

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final

from google.protobuf.message import Message

from wsauthz.model.errors import InvalidArgument, PageTokenInvalid
from wsauthz.tenancy.transaction import Caller

_USUAL: Final = 100
_MOST: Final = 1_000
_NOT_FILTERS: Final = ("page_size", "page_token", "at_least_revision")


def page_size(request: Any) -> int:
    """Return how many items the request wants: 0 is 100, more than 1,000 is 1,000.

    Raises:
        InvalidArgument: it is negative.

    """
    if request.page_size < 0:
        raise InvalidArgument("page_size", "must not be negative")
    return min(request.page_size or _USUAL, _MOST)


class Pages:
    """Makes and reads page tokens with the secret of the installation, so any replica takes them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, by: Caller, request: Message, position: str) -> str:
        """Return the token of the page after ``position``, the sort key of the last item given; empty for none."""
        if not position:
            return ""
        return _encode(self._sign(by, request, position) + position.encode())

    def position(self, by: Caller, request: Any) -> str:
        """Return the position to go on from; empty for the first page.

        Raises:
            PageTokenInvalid: the token was not made for this caller, actor, method and filter.

        """
        if not request.page_token:
            return ""
        try:
            raw = base64.urlsafe_b64decode(request.page_token.encode())
            signature, position = raw[:16], raw[16:].decode()
        except (binascii.Error, ValueError):
            raise PageTokenInvalid from None
        if _encode(raw) != request.page_token:  # the decoder passes over what is no base64
            raise PageTokenInvalid
        if not hmac.compare_digest(signature, self._sign(by, request, position)):
            raise PageTokenInvalid
        return position

    def _sign(self, by: Caller, request: Message, position: str) -> bytes:
        filters = type(request)()
        filters.CopyFrom(request)
        for name in _NOT_FILTERS:
            if name in request.DESCRIPTOR.fields_by_name:
                filters.ClearField(name)
        digest = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in (by.caller, by.actor, by.method, filters.SerializeToString(deterministic=True), position):
            data = part if isinstance(part, bytes) else part.encode()
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.digest()[:16]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()
