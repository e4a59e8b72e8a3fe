"""Serve a stack at a terminal until Ctrl-C: banner, signals, exit code."""

import asyncio
import contextlib
import shutil
import signal
import sys
from pathlib import Path

from services.stack.address import reachable
from services.stack.environment import web_url
from services.stack.errors import StackError
from services.stack.programs import StackPrograms
from services.stack.settings import StackSettings
from services.stack.stack import Stack


def banner(stack: Stack) -> str:
    """Return the addresses of everything, for the person who started it."""
    settings, data_folder = stack.settings, stack.data_folder
    mailbox = f"{settings.smtp_host} (your own relay)" if settings.smtp_host else str(data_folder.mailbox)
    # The client's own default address needs no option.
    default = settings.gateway_address == StackSettings.model_fields["gateway_address"].default
    server = "" if default else f"--server {reachable(settings.gateway_address)} "
    return f"""
ImageBlur is ready after {stack.startup_seconds:.1f} s:

  {web_url(settings)}

  gateway   {settings.gateway_address} (gRPC)
  mailbox   {mailbox}
  data      {data_folder.root}
Order:      {command_line()} {server}order --email you@example.org --watch photo.jpg
Ctrl-C stops everything.
"""


def command_line() -> str:
    """Return how to call `imageblur` of this environment from here: by its name, or by its path."""
    script = Path(sys.executable).with_name("imageblur")
    found = shutil.which("imageblur")
    if found and script.exists() and Path(found).samefile(script):
        return "imageblur"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)


class Signals:
    """SIGINT, SIGTERM and SIGHUP as events: the first one stops, the second one kills."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()

    def listen(self) -> None:
        """Install the signal handlers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.force if self.stop.is_set() else self.stop).set()


async def serve(settings: StackSettings, programs: StackPrograms | None = None) -> int:
    """Serve until a signal or a wrong setting; return the exit code. Raises: StackError if no program can be chosen."""
    stack = Stack(settings, programs)
    signals = Signals()
    signals.listen()
    running = asyncio.create_task(_run(stack))
    stop = asyncio.create_task(signals.stop.wait())
    await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        error = running.result()
        stack.output.message(str(error))
        code = error.exit_code
        signals.stop.set()  # from here on, Ctrl-C kills
    else:
        stack.output.message("stopping; Ctrl-C again kills everything at once")
        code = 0
    running.cancel()
    stop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    began = asyncio.get_running_loop().time()
    await stack.stop(signals.force)
    if code == 0:
        stack.output.message(f"stopped after {asyncio.get_running_loop().time() - began:.1f} s")
    return code


async def _run(stack: Stack) -> StackError:
    try:
        await stack.start()
        await stack.wait_ready()
        stack.output.message(banner(stack))
        return await stack.wait_broken()
    except StackError as error:
        return error
