"""`python -m services.gateway`: serve until SIGTERM or SIGINT.

`python -m services.gateway keys …`: make, list, rotate and revoke API keys in the database, without a server.
"""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from services.common.infra import log
from services.common.infra.startup import run

if TYPE_CHECKING:
    from services.gateway.settings import GatewaySettings

_log = log.get("services.gateway")


def main() -> None:
    """Read the settings and serve, or do what the command says."""
    # Each imports what it needs: the command about keys is not to load a server for that.
    if sys.argv[1:]:
        from services.gateway import keys_command  # noqa: PLC0415

        keys_command.main(sys.argv[1:])
        return
    from services.gateway.settings import GatewaySettings  # noqa: PLC0415

    settings = GatewaySettings.load()
    log.configure(settings.log_level, settings.log_format)
    asyncio.run(_serve(settings))


async def _serve(settings: "GatewaySettings") -> None:
    from services.gateway.server import serve  # noqa: PLC0415

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(settings) as port:
        _log.info("serving", address=settings.gateway_address, port=port)
        await stop.wait()
        _log.info("stopping")


if __name__ == "__main__":
    run(main)
