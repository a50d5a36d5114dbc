"""Everything that is in the database of a server, and calls as they go over the wire."""

from typing import Any, Final

import grpc
from google.protobuf.message import Message
from sqlalchemy import select

from tests.rpc.tenants import Tenants
from tests.serving import ACTOR, CALL_SECONDS, Refusal, decode
from wsauthz.rpc.methods import Method
from wsauthz.store.tables import audit_entries, metadata, revision

_OF_REFUSALS: Final = {revision.c.audit_count, revision.c.audit_head}
"""What a refused attempt moves."""

Dump = dict[str, list[Any]]


def dump(tenants: Tenants) -> Dump:
    """Return every row of every table, by table, except those about refused attempts."""
    found: Dump = {}
    with tenants.server.server.database.read() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column not in _OF_REFUSALS]
            rows = select(*columns).order_by(*table.primary_key)
            if table is audit_entries:
                rows = rows.where(audit_entries.c.refusal == "")
            found[table.name] = [tuple(row) for row in connection.execute(rows)]
    return found


def send(tenants: Tenants, method: Method, body: bytes, *actors: str) -> Message | Refusal:
    """Call a method with a body that may be no message, for an actor, nobody, or several; return what comes back.

    Of a stream that is its first message.
    """
    channel = tenants.server.channel
    made: Any = channel.unary_stream if method.streams else channel.unary_unary
    try:
        called = made(method.full_name)(body, timeout=CALL_SECONDS, metadata=tuple((ACTOR, actor) for actor in actors))
        answer: bytes = next(called) if method.streams else called
        if method.streams:
            called.cancel()
    except grpc.RpcError as error:
        return decode(error)
    return method.answer.FromString(answer)


def ask(tenants: Tenants, method: Method, request: Message, actor: str) -> Message | Refusal:
    """Call a method for an actor."""
    return send(tenants, method, request.SerializeToString(), *([actor] if actor else []))
