"""A grpcio server with the settings of the real one and nothing around its one method, which takes and gives nothing.

``python -m bench.empty HOST:PORT``; run by ``bench.servers``.
"""

import asyncio
import sys
from typing import Any, Final

import grpc
import uvloop
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from wsauthz.server import OPTIONS

SERVICE: Final = "wsauthz.bench.Bench"
METHOD: Final = "Empty"


async def _empty(_request: Empty, _context: grpc.aio.ServicerContext[Any, Any]) -> Empty:
    return Empty()


async def _serve(address: str) -> None:
    server = grpc.aio.server(options=OPTIONS)
    handler = grpc.unary_unary_rpc_method_handler(
        _empty, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(address)
    await server.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
