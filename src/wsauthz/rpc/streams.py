"""Sending a stream to a client that may take it in slowly, or not at all: nothing waits for it without bound."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from wsauthz.model.errors import ConsumerTooSlow

SEND_SECONDS: Final = 10.0
"""How long one message may wait for its client to take it in."""
_END_SECONDS: Final = 1.0


class Gone(Exception):
    """The client is not there any more."""


async def send(context: grpc.aio.ServicerContext[Any, Any], messages: AsyncGenerator[Message]) -> None:
    """Send what the generator makes, one after another, and have it end whatever happens.

    Raises:
        ConsumerTooSlow: the client does not take them in. Gone: it is not there. And whatever the generator raises.

    """
    async with contextlib.aclosing(messages):
        async for message in messages:
            if not await _within(SEND_SECONDS, _write(context, message)):
                raise ConsumerTooSlow


async def end(abort: Coroutine[Any, Any, None]) -> None:
    """Send how the stream ended, and do not wait for a client that takes nothing in: it finds it when it does."""
    await _within(_END_SECONDS, abort)


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> bool:
    """Return whether the work was done in time; if not it stays with the transport until that ends the call."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_forget)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done:
        await task
    return bool(done)


async def _write(context: grpc.aio.ServicerContext[Any, Any], message: Message) -> None:
    try:
        await context.write(message)
    except Exception as lost:  # the transport has several kinds, and all of them mean that
        raise Gone from lost


def _forget(task: asyncio.Task[None]) -> None:
    """Look at what became of it, or asyncio would complain that nobody did."""
    if not task.cancelled():
        task.exception()
