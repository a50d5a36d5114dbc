"""The default transport: grpc.aio."""

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from wsauthz.transport.limits import OPTIONS


class GrpcioServer(grpc.aio.Server):
    """A grpc.aio server that serves generic handlers only.

    grpc.aio waits for each registered method anew at every call: the three of the health service cost every Check a
    fifth.
    """

    def __init__(self) -> None:
        self._server = grpc.aio.server(options=OPTIONS)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Serve them."""
        self._server.add_generic_rpc_handlers(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """Leave them out; a generic handler has the same methods."""

    def add_insecure_port(self, address: str) -> int:
        """Listen there, and return the port.

        Raises:
            RuntimeError: the address is in use, or is none.

        """
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Listen there with TLS, and return the port.

        Raises:
            RuntimeError: the address is in use, or is none.

        """
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """Serve."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """Let running calls take at most so many seconds more, then end them."""
        await self._server.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as the base has it
        """Wait until it is stopped."""
        return await self._server.wait_for_termination(timeout)
