"""The native transport: pygrpc-native, with HTTP/2 and gRPC outside the interpreter. Imported only where it is wanted.

What it does differently from grpcio, and what is repaired here, is in docs/decisions/0015.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from pygrpc_native import STREAM_CLOSED, STREAM_FULL
from pygrpc_native.aio import Server

from wsauthz.transport.addresses import CannotListen
from wsauthz.transport.limits import NATIVE_OPTIONS

FLUSH_SECONDS: Final = 0.1
"""How long a last answer may take from here into its connection."""
_LEAST_PAUSE_SECONDS: Final = 0.0005
_MOST_PAUSE_SECONDS: Final = 0.1
"""How often a stream looks whether its caller has read on; the longer that takes, the less often."""
_FLUSHING: Final = -1
"""No id of a call: stands among the running ones until the last of them is answered, and its answer sent."""


class NativeServer(Server):
    """A server of pygrpc-native, repaired where it would lose answers or hang."""

    def __init__(self) -> None:
        super().__init__(options=NATIVE_OPTIONS)

    def add_insecure_port(self, address: str) -> int:
        """Listen there, and return the port.

        Raises:
            RuntimeError: the address is in use, or is none. CannotListen: it listens on another one already.

        """
        if self._front is not None:
            raise CannotListen(address, "the native transport listens on one address, and this name has several")
        with _quiet():
            return super().add_insecure_port(address)

    async def stop(self, grace: float | None) -> None:
        """Let running calls take at most so many seconds more, then end them.

        The connections are closed the moment that nothing runs, with answers still on their way into them: so something
        runs a little longer.
        """
        if grace and not self._stopping:
            running = [call.task for call in self._calls.values() if call.task is not None]
            flushing: Any = SimpleNamespace(task=asyncio.create_task(_flush(running)))
            self._calls[_FLUSHING] = flushing
        await super().stop(grace)

    async def _send(self, call: Any, context: Any, response: Any) -> bool:
        """Send one message of a stream; tell whether the caller is still there.

        Where the caller is slow the base class waits in a thread of the loop's pool: a few slow callers occupy them
        all, and stopping, which needs one, waits for ever.
        """
        data = self._encode(call, context, response)
        if data is None:
            return False
        context._initial_sent = True  # noqa: SLF001 - as the base class does
        front: Any = self._front
        pause = _LEAST_PAUSE_SECONDS
        while (sent := front.stream_try_send(call.call_id, data)) == STREAM_FULL:  # no event tells when there is room
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_SECONDS)
        return bool(sent != STREAM_CLOSED)


async def _flush(running: list[asyncio.Task[None]]) -> None:
    if running:
        await asyncio.wait(running)
    await asyncio.sleep(FLUSH_SECONDS)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own line about an address in use from the log: the exception says it."""
    log = logging.getLogger("pygrpc_native")

    def nothing(_record: logging.LogRecord) -> bool:
        return False

    log.addFilter(nothing)
    try:
        yield
    finally:
        log.removeFilter(nothing)
