"""grpc.health.v1, which says SERVING only while answers may be given."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.25
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_WORDS: Final = {
    _SERVING: (logging.INFO, "ready"),
    _NOT_SERVING: (logging.ERROR, "not ready: calls are answered with UNAVAILABLE"),
}


class Health(HealthServicer):
    """The health of every service; Check looks anew each time, and who watches is told within a quarter of a second."""

    def __init__(self, services: Sequence[str], why_not_ready: Callable[[], str]) -> None:
        """Serve the health of the services; ``why_not_ready`` is empty while answers may be given."""
        super().__init__()
        self._services = ("", *services)
        self._why_not_ready = why_not_ready
        self._said: Any = None
        self._stopping = False
        self._server_status = dict.fromkeys(self._services, _NOT_SERVING)

    async def Check(self, request: Any, context: Any) -> Any:
        """Tell the health of a service."""
        await self.look()
        return await super().Check(request, context)

    async def look(self) -> None:
        """Say what is so now, and log it when it changes; after ``enter_graceful_shutdown`` it does not."""
        reason = self._why_not_ready()
        status = _NOT_SERVING if reason else _SERVING
        if status != self._said:
            self._said = status
            if not self._stopping:
                _log.log(*_WORDS[status], extra={"reason": reason} if reason else None)
            for service in self._services:
                await self.set(service, status)

    async def enter_graceful_shutdown(self) -> None:
        """Say NOT_SERVING from now on."""
        self._stopping = True
        await super().enter_graceful_shutdown()

    async def keep_looking(self) -> None:
        """Look again and again, for those who watch; until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)
