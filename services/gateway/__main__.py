"""`python -m services.gateway`: serve until SIGTERM or SIGINT. `… create-key NAME`: create the first API key."""

import argparse
import asyncio
import gc
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from services.common.domain.api_keys import Role
from services.common.infra import log
from services.common.infra.process.startup import run

if TYPE_CHECKING:
    from services.gateway.settings import GatewaySettings

GC_THRESHOLDS = 5_000, 20, 50
_log = log.get("services.gateway")


def main() -> None:
    """Serve, or create an API key."""
    arguments = _parse()
    if arguments.command == "create-key":
        # Imported where it is used: the command needs no server, and the server no command.
        from services.gateway.create_key import create_key  # noqa: PLC0415

        create_key(arguments.name, Role(arguments.role.upper()), arguments.key_file)
        return
    from services.gateway.settings import GatewaySettings  # noqa: PLC0415

    settings = GatewaySettings.load()
    log.configure(settings.log_level, settings.log_format)
    asyncio.run(_serve(settings))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.gateway")
    create = parser.add_subparsers(dest="command", metavar="COMMAND").add_parser(
        "create-key",
        help="create an API key in the database and print it: for the first key, or if all are lost. "
        "`imageblur admin` manages keys otherwise",
    )
    create.add_argument("name", help="name of its holder")
    create.add_argument("--role", choices=[role.lower() for role in Role], default="admin")
    create.add_argument(
        "--key-file",
        type=Path,
        help="use the key in this file, unless it is there already: for set-ups that start alone",
    )
    return parser.parse_args()


async def _serve(settings: "GatewaySettings") -> None:
    from services.gateway.server import serve  # noqa: PLC0415

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(settings) as port:
        # With Python's own thresholds, thousands of calls that wait are traversed several times, 0.1 s each.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        _log.info("serving", address=settings.gateway_address, port=port)
        await stop.wait()
        _log.info("stopping")


if __name__ == "__main__":
    run(main)
