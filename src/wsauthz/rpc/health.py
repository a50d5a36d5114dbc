"""grpc.health.v1, which says SERVING only while answers may be given."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

_LOOK_SECONDS: Final = 0.25
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(HealthServicer):
    """The health of every service; Check looks anew each time, and who watches is told within a quarter of a second."""

    def __init__(self, services: Sequence[str], is_ready: Callable[[], bool]) -> None:
        super().__init__()
        self._services = ("", *services)
        self._is_ready = is_ready
        self._said: Any = None
        self._server_status = dict.fromkeys(self._services, _NOT_SERVING)

    async def Check(self, request: Any, context: Any) -> Any:
        """Tell the health of a service."""
        await self.look()
        return await super().Check(request, context)

    async def look(self) -> None:
        """Say what is so now; after ``enter_graceful_shutdown`` that changes nothing."""
        status = _SERVING if self._is_ready() else _NOT_SERVING
        if status != self._said:
            self._said = status
            for service in self._services:
                await self.set(service, status)

    async def keep_looking(self) -> None:
        """Look again and again, for those who watch; until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)
