"""`python -m services.gateway`: serve until SIGTERM or SIGINT."""

import asyncio
import signal

from services.common import log
from services.common.startup import run
from services.gateway.server import serve
from services.gateway.settings import GatewaySettings

_log = log.get("services.gateway")


def main() -> None:
    """Read the settings and serve."""
    settings = GatewaySettings.load()
    log.configure(settings.log_level, settings.log_format)
    asyncio.run(_serve(settings))


async def _serve(settings: GatewaySettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(settings) as port:
        _log.info("serving", address=settings.gateway_address, port=port)
        await stop.wait()
        _log.info("stopping")


if __name__ == "__main__":
    run(main)
