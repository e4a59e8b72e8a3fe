"""`python -m services.stack`: everything on this machine, until Ctrl-C.

`python -m services.stack mailing`: order a mailing to all subscribers now, of the stack that is running.
"""

import argparse
import asyncio
import os
import sys

from services.common.startup import run
from services.stack.environment import service_environment
from services.stack.errors import StackError
from services.stack.places import Places
from services.stack.process import python_module
from services.stack.serving import serve
from services.stack.settings import StackSettings


def main() -> None:
    """Do what the command says; exits with 78 when a setting is wrong, 1 for other reasons not to."""
    parser = argparse.ArgumentParser(prog="python -m services.stack")
    parser.add_argument("command", nargs="?", choices=["serve", "mailing"], default="serve")
    command = parser.parse_args().command
    settings = StackSettings.load()
    try:
        if command == "mailing":
            _order_mailing(settings)
        sys.exit(asyncio.run(serve(settings)))
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def _order_mailing(settings: StackSettings) -> None:
    places = Places(settings.data_dir.absolute())
    if not places.ready.exists():
        raise StackError(f"no stack is running in {places.data}: start it with make run")
    environment = service_environment(settings, places, run="")
    arguments = python_module("services.scheduler", "run-mailing")
    os.execve(arguments[0], list(arguments), environment)  # noqa: S606 - our own module


if __name__ == "__main__":
    run(main)
