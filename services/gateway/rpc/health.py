"""The health service: SERVING while all dependencies of the gateway are available; checked every two seconds."""

import asyncio
from collections.abc import Callable, Mapping

from grpc_health.v1.health import aio as health
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.common.infra import log
from services.gateway import metrics
from services.gateway.rpc.thread_pool import ThreadPool

INTERVAL_SECONDS = 2
TIMEOUT_SECONDS = 5

_log = log.get(__name__)


class HealthMonitor:
    """Checks the dependencies and sets the status of the standard health service.

    Args:
        services: Full names of the services whose health is reported.
        checks: A blocking check for each dependency, which raises if the dependency is unavailable.
        threads: Where checks run.
    """

    def __init__(
        self, services: tuple[str, ...], checks: Mapping[str, Callable[[], None]], threads: ThreadPool
    ) -> None:
        self.servicer = health.HealthServicer()
        self._services = ("", *services)
        self._checks = checks
        self._threads = threads
        self._unavailable: set[str] = set()

    async def run(self) -> None:
        """Check the dependencies until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def check(self) -> None:
        """Check all dependencies once; log and publish changes."""
        unavailable = {name for name in self._checks if not await self._available(name)}
        for name in self._checks:
            metrics.dependency_checked(name, up=name not in unavailable)
        for name in unavailable - self._unavailable:
            _log.error("dependency unavailable, not serving", dependency=name)
        for name in self._unavailable - unavailable:
            _log.info("dependency available again", dependency=name)
        self._unavailable = unavailable
        status = HealthCheckResponse.NOT_SERVING if unavailable else HealthCheckResponse.SERVING
        for service in self._services:
            await self.servicer.set(service, status)

    async def stop(self) -> None:
        """Report NOT_SERVING from now on, so that load balancers send no more calls."""
        await self.servicer.enter_graceful_shutdown()

    async def _available(self, name: str) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._threads.run(self._checks[name])
        except Exception as error:
            # Any error: a monitor that ended would report SERVING forever.
            _log.debug("dependency check failed", dependency=name, error=str(error))
            return False
        return True
