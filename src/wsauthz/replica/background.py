"""Tasks that run for as long as a server does: one that ends is logged, counted and started again.

asyncio keeps the error of a task until somebody asks for it, and nobody does while a server runs. Without this, the end
of a task would go unnoticed, and with it the end of reloads, of polls or of pruning.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from wsauthz import metrics

_log = logging.getLogger(__name__)

RESTART_SECONDS: Final = 1.0
_CANCEL_AGAIN_SECONDS: Final = 3.0


def keep_running(
    name: str, work: Callable[[], Coroutine[Any, Any, None]], may_end: Callable[[], bool] = lambda: False
) -> asyncio.Task[None]:
    """Start ``work`` as a task of that name, and start it again when it ends; ``stop`` ends both.

    The name is the label of ``wsauthz_background_task_ends_total``. Work that ends while ``may_end`` is true is done.
    """
    metrics.background_ends[name] += 0  # a series that appears only with the first failure cannot be alerted on
    return asyncio.create_task(_keep_running(name, work, may_end))


async def stop(*tasks: asyncio.Task[None]) -> None:
    """End tasks of ``keep_running``, and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(name: str, work: Callable[[], Coroutine[Any, Any, None]], may_end: Callable[[], bool]) -> None:
    while True:
        running = asyncio.create_task(work(), name=name)
        try:
            await asyncio.wait({running})
        finally:
            await _end(running)
        if may_end():
            return
        metrics.background_ends[name] += 1
        _log.error(
            "a background task has ended; it is started again",
            extra={"task": name},
            exc_info=None if running.cancelled() else running.exception(),
        )
        await asyncio.sleep(RESTART_SECONDS)


async def _end(running: asyncio.Task[None]) -> None:
    """Cancel the task until it has ended: a driver may lose a cancellation that comes together with a notification."""
    while not running.done():
        running.cancel()
        await asyncio.wait({running}, timeout=_CANCEL_AGAIN_SECONDS)
