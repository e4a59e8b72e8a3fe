"""A stack at a terminal: from the first line to the exit code."""

import asyncio
import contextlib
import signal

from services.stack.address import reachable
from services.stack.environment import web_url
from services.stack.errors import StackError
from services.stack.plan import Plan
from services.stack.settings import StackSettings
from services.stack.stack import Stack


def banner(stack: Stack) -> str:
    """Where everything is, for the person who started it."""
    settings, places = stack.settings, stack.places
    mailbox = f"{settings.smtp_host} (your own relay)" if settings.smtp_host else str(places.mailbox)
    # The client's own default needs no mention.
    default = settings.gateway_address == StackSettings.model_fields["gateway_address"].default
    server = "" if default else f"--server {reachable(settings.gateway_address)} "
    return f"""
ImageBlur is ready after {stack.startup_seconds:.1f} s:

  {web_url(settings)}

  gateway   {settings.gateway_address} (gRPC)
  mailbox   {mailbox}
  data      {places.data}
Order:      .venv/bin/imageblur {server}order --email you@example.org --watch photo.jpg
Ctrl-C stops everything.
"""


class Signals:
    """SIGINT, SIGTERM and SIGHUP as events: the first asks to stop, the second to hurry."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    def listen(self) -> None:
        """Take the signals over from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._came)

    def _came(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


async def serve(settings: StackSettings, plan: Plan | None = None) -> int:
    """Serve until a signal or a wrong setting; gives the exit code."""
    stack = Stack(settings, plan)
    signals = Signals()
    signals.listen()
    work = asyncio.create_task(_work(stack))
    stop = asyncio.create_task(signals.stop.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        error = work.result()
        stack.output.tell(str(error))
        code = error.exit_code
        signals.stop.set()  # from here on, Ctrl-C means: hurry
    else:
        stack.output.tell("stopping; Ctrl-C again ends everything at once")
        code = 0
    work.cancel()
    stop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    began = asyncio.get_running_loop().time()
    await stack.stop(signals.hurry)
    if code == 0:
        stack.output.tell(f"stopped after {asyncio.get_running_loop().time() - began:.1f} s")
    return code


async def _work(stack: Stack) -> StackError:
    try:
        await stack.start()
        await stack.wait_ready()
        stack.output.tell(banner(stack))
        return await stack.wait_broken()
    except StackError as error:
        return error
