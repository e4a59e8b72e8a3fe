"""Health: what load balancers ask, answered from what the gateway needs, looked at every two seconds."""

import asyncio
from collections.abc import Callable, Mapping

from grpc_health.v1.health import aio as health
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.common.infra import log
from services.gateway import metrics
from services.gateway.rpc.thread_pool import Offload

INTERVAL_SECONDS = 2
TIMEOUT_SECONDS = 5

_log = log.get(__name__)


class Health:
    """The standard health service over checks of our own."""

    def __init__(self, services: tuple[str, ...], checks: Mapping[str, Callable[[], None]], offload: Offload) -> None:
        self.servicer = health.HealthServicer()
        self._services = ("", *services)
        self._checks = checks
        self._offload = offload
        self._failing: set[str] = set()

    async def watch(self) -> None:
        """Look for as long as the gateway serves."""
        while True:
            await self.look()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def look(self) -> None:
        """Look once at everything, and tell what has changed."""
        failing = {name for name in self._checks if not await self._ok(name)}
        for name in self._checks:
            metrics.need_seen(name, up=name not in failing)
        for name in failing - self._failing:
            _log.error("cannot be reached, not serving", what=name)
        for name in self._failing - failing:
            _log.info("is back", what=name)
        self._failing = failing
        status = HealthCheckResponse.NOT_SERVING if failing else HealthCheckResponse.SERVING
        for service in self._services:
            await self.servicer.set(service, status)

    async def stop(self) -> None:
        """Tell load balancers to send no more calls."""
        await self.servicer.enter_graceful_shutdown()

    async def _ok(self, name: str) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._offload(self._checks[name])
        except Exception as error:
            # Whatever it is: a watch that ends would say SERVING for ever.
            _log.debug("check failed", what=name, error=str(error))
            return False
        return True
