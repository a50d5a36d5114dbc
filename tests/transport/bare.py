"""A server of one transport with small methods and nothing around them, and a channel to it."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

import grpc

from tests.serving import CALL_SECONDS, on_loop
from wsauthz.transport.choice import make_server

SERVICE: Final = "wsauthz.test.Bare"
DETAILS: Final = b"\x00\xff details"
"""What the method Abort puts into its trailing metadata."""
LOCAL: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
"""Options of a channel with a connection of its own."""


class Bare:
    """A server from the beginning of the block to its end. ``seen`` is what its methods noted."""

    def __init__(self, transport: str, listen: str = "127.0.0.1:0") -> None:
        self.listen = listen
        self.address = ""
        self.seen: list[Any] = []
        self.channel: grpc.Channel
        self._transport = transport
        self._server: grpc.aio.Server

    def __enter__(self) -> Self:
        """Start serving."""
        on_loop(self._start())
        self.channel = self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.channel.close()
        self.stop(0)

    def stop(self, grace: float | None) -> None:
        """Stop; running calls may take so many seconds."""
        on_loop(self._server.stop(grace))

    def connect(self) -> grpc.Channel:
        """Return a channel over a connection of its own."""
        return grpc.insecure_channel(self.address, options=LOCAL)

    def method(self, name: str, channel: grpc.Channel | None = None) -> Any:
        """Return what calls a method that takes bytes and returns bytes."""
        return (channel or self.channel).unary_unary(f"/{SERVICE}/{name}")

    def stream(self, body: bytes, channel: grpc.Channel | None = None) -> Any:
        """Call the method that sends as many messages as the body says."""
        method: Any = (channel or self.channel).unary_stream(f"/{SERVICE}/Count")
        return method(body)

    def call(self, name: str, body: bytes = b"", **options: Any) -> bytes:
        """Call a method with a deadline."""
        answer: bytes = self.method(name)(body, **{"timeout": CALL_SECONDS, **options})
        return answer

    async def _start(self) -> None:
        self._server = make_server(self._transport)
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        handlers: dict[str, Any] = {
            "Note": unary(self._note),
            "Size": unary(self._size),
            "Fill": unary(self._fill),
            "Sleep": unary(self._sleep),
            "Abort": unary(self._abort),
            "Count": stream(self._count),
            "CountAndAbort": stream(self._count_and_abort),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._server.add_registered_method_handlers(SERVICE, handlers)
        port = self._server.add_insecure_port(self.listen)
        host = self.listen.rpartition(":")[0]
        self.address = self.listen if self.listen.startswith("unix:") else f"{host}:{port}"
        await self._server.start()

    async def _note(self, _body: bytes, context: Any) -> bytes:
        self.seen.append((tuple(context.invocation_metadata()), context.time_remaining()))
        return b""

    async def _size(self, body: bytes, _context: Any) -> bytes:
        return str(len(body)).encode()

    async def _fill(self, body: bytes, _context: Any) -> bytes:
        return bytes(int(body))

    async def _sleep(self, body: bytes, _context: Any) -> bytes:
        self.seen.append("began")
        try:
            await asyncio.sleep(float(body))
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        self.seen.append("ended")
        return b"slept"

    async def _abort(self, _body: bytes, context: Any) -> bytes:
        try:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, "Not one of 100 %\nñ", (("grpc-status-details-bin", DETAILS),)
            )
        except Exception as error:
            self.seen.append(type(error))
            raise
        self.seen.append("went on")
        return b""

    async def _count(self, body: bytes, _context: Any) -> AsyncIterator[bytes]:
        try:
            for number in range(int(body)):
                yield str(number).encode().zfill(1_000)
                self.seen.append(number)
        finally:
            self.seen.append("ended")

    async def _count_and_abort(self, _body: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"0"
        await context.abort(grpc.StatusCode.ABORTED, "enough", (("grpc-status-details-bin", DETAILS),))
