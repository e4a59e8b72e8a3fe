"""`python -m services.stack`: everything on this machine, until Ctrl-C.

`python -m services.stack mailing`: order a mailing to all subscribers now, of the stack that is running.
`python -m services.stack operate mailer|scheduler|people COMMAND …`: a command of a service, on that stack.
"""

import argparse
import asyncio
import json
import os
import sys

from services.common.infra.startup import run
from services.stack.data_folder import Places
from services.stack.environment import service_environment
from services.stack.errors import StackError
from services.stack.process import python_module
from services.stack.serving import serve
from services.stack.settings import StackSettings

OPERATED = {"mailer": "services.mailer", "scheduler": "services.scheduler", "people": "services.common.people"}
"""What has commands for operators."""


def main() -> None:
    """Do what the command says; exits with 78 when a setting is wrong, 1 for other reasons not to."""
    parser = argparse.ArgumentParser(prog="python -m services.stack")
    parser.add_argument("command", nargs="?", choices=["serve", "mailing", "operate"], default="serve")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="with operate: the service, and what it is to do")
    arguments = parser.parse_args()
    command = arguments.command
    settings = StackSettings.load()
    try:
        if command == "mailing":
            _operate(settings, "services.scheduler", "run-mailing")
        if command == "operate":
            _operate(settings, *_operated(arguments.rest))
        sys.exit(asyncio.run(serve(settings)))
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def _operated(rest: list[str]) -> list[str]:
    """The module of a service, and its command."""
    if len(rest) < 2 or rest[0] not in OPERATED:
        raise StackError(f"operate needs one of {', '.join(OPERATED)}, and a command")
    return [OPERATED[rest[0]], *rest[1:]]


def _operate(settings: StackSettings, module: str, *command: str) -> None:
    """Become a command of a service, told of the stack as the services are."""
    places = Places(settings.data_dir.absolute())
    if not places.ready.exists():
        raise StackError(f"no stack is running in {places.data}: start it with make run")
    told = json.loads(places.ready.read_text(encoding="utf-8")).get("told", {})
    environment = service_environment(settings.model_copy(update=told), places, run="")
    arguments = python_module(module, *command)
    os.execve(arguments[0], list(arguments), environment)  # noqa: S606 - our own module


if __name__ == "__main__":
    run(main)
