"""Answering a write that was made before under the same ``request_id``: the first answer again, without its secrets."""

import hashlib
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

from wsauthz.model.errors import InvalidArgument, RequestIdReused
from wsauthz.rpc.methods import Method
from wsauthz.store import request_ids
from wsauthz.store.database import Connection
from wsauthz.store.request_ids import GivenAnswer, RequestKey
from wsauthz.tenancy.transaction import Caller, Transaction

LONGEST_REQUEST_ID: Final = 128


def stored(method: Method, connection: Connection, request: Any, by: Caller, now: datetime) -> Any:
    """Return the first answer to this request id, None if it is new.

    Raises:
        RequestIdReused: it was used for another body. InvalidArgument: it is too long.

    """
    if len(request.request_id) > LONGEST_REQUEST_ID or not request.request_id.isprintable():
        raise InvalidArgument("request_id", f"must be at most {LONGEST_REQUEST_ID} printable characters")
    found = request_ids.find(connection, _key(by, request.request_id), now=now)
    if found is None:
        return None
    if found.body_hash != _digest(request):
        raise RequestIdReused
    return method.answer.FromString(found.answer)


def keep(tx: Transaction, request: Any, answer: Message) -> None:
    """Keep the answer of a request that names itself, in the transaction of the write."""
    given = GivenAnswer(body_hash=_digest(request), answer=without_secrets(answer))
    request_ids.add(tx.connection, _key(tx.by, request.request_id), given, now=tx.now)


def without_secrets(answer: Message) -> bytes:
    """Return the answer as it may be kept: without the fields that are marked as secret."""
    kept = type(answer)()
    kept.CopyFrom(answer)
    for field in answer.DESCRIPTOR.fields:
        if field.GetOptions().debug_redact:
            kept.ClearField(field.name)
    return kept.SerializeToString()


def _digest(request: Message) -> str:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()


def _key(by: Caller, request_id: str) -> RequestKey:
    return RequestKey(caller=by.caller, actor=by.actor, method=by.method, request_id=request_id)
