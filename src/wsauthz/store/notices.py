"""Hearing at once of what others commit. It is a hint and no more: whoever follows a database asks it, too."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import URL

if TYPE_CHECKING:
    import psycopg

CHANNEL: Final = "wsauthz"
_ANSWER_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 10.0
"""After so long without a notification the server is asked whether it is still there."""


class Deaf(Exception):
    """Nothing can be heard any more; listen anew."""


async def listen(url: URL) -> AsyncGenerator[str]:
    """Yield an empty text as soon as nothing can be missed any more, and then the token of each revision.

    Raises:
        Deaf: the connection is lost, or the server does not answer.

    """
    import psycopg  # noqa: PLC0415 - loading it costs an eighth of a second, and on SQLite nobody needs it

    arguments, options = url.get_dialect()().create_connect_args(url)
    usual = {"connect_timeout": round(_ANSWER_SECONDS), "target_session_attrs": "read-write"}
    try:
        connection = await _whole(psycopg.AsyncConnection.connect(*arguments, **{**usual, **options}, autocommit=True))
        try:
            await _soon(connection, connection.execute(f"LISTEN {CHANNEL}".encode()))
            yield ""
            while True:
                async for notice in connection.notifies(timeout=_SILENCE_SECONDS):
                    yield notice.payload
                await _soon(connection, connection.execute(b"SELECT 1"))
        finally:
            await connection.close()
    except psycopg.Error as error:
        raise Deaf(type(error).__name__) from None


async def _whole(connecting: Coroutine[Any, Any, "psycopg.AsyncConnection[Any]"]) -> "psycopg.AsyncConnection[Any]":
    """Connect; when cancelled, close what comes of it: half-made connections stay open until somebody collects them."""
    task = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if task.exception() is None:
            await task.result().close()
        raise


async def _soon(connection: "psycopg.AsyncConnection[Any]", work: Coroutine[Any, Any, Any]) -> None:
    """Wait for an answer, but not long: a stalled socket is shut down, because cancelling would wait for it, too."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=_ANSWER_SECONDS)
    finally:
        if not task.done():
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as stalled:
                stalled.shutdown(socket.SHUT_RDWR)
            await asyncio.wait({task})
            task.exception()  # looked at, because a caller that is cancelled will not
    await task
