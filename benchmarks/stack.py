"""A stack of its own for each benchmark, on free ports, with nothing of the user's settings."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from services.stack.background import BackgroundStack, background_stack


@contextmanager
def fresh_stack() -> Iterator[BackgroundStack]:
    """A stack that is ready, and gone afterwards."""
    for name in [name for name in os.environ if name.startswith("IMAGEBLUR_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="imageblur-benchmark-") as folder:
        os.chdir(folder)
        environment = {"IMAGEBLUR_GATEWAY_ADDRESS": f"127.0.0.1:{_free_port()}"}
        environment["IMAGEBLUR_MAILBOX_PORT"] = str(_free_port())
        with background_stack(Path(folder) / "data", environment) as stack:
            yield stack
        os.chdir("/")


def service(stack: BackgroundStack, name: str) -> psutil.Process:
    """The main process of a service."""
    children = psutil.Process(stack.process.pid).children()
    return next(child for child in children if f"services.{name}" in child.cmdline())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
