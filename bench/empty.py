"""A server with the settings of the real one and nothing around its one method, which takes and gives nothing.

``python -m bench.empty HOST:PORT TRANSPORT``; run by ``bench.servers``.
"""

import asyncio
import sys
from typing import Any, Final

import grpc
import uvloop
from google.protobuf.empty_pb2 import Empty

from wsauthz.transport.choice import make_server

SERVICE: Final = "wsauthz.bench.Bench"
METHOD: Final = "Empty"


async def _empty(_request: Empty, _context: grpc.aio.ServicerContext[Any, Any]) -> Empty:
    return Empty()


async def _serve(address: str, transport: str) -> None:
    server = make_server(transport)
    handler = grpc.unary_unary_rpc_method_handler(
        _empty, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    server.add_registered_method_handlers(SERVICE, {METHOD: handler})
    server.add_insecure_port(address)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
