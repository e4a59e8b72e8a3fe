"""`python -m services.stack`: serve everything on this machine until Ctrl-C."""

import asyncio
import gc
import sys

import services.common.infra.process.collect_later  # noqa: F401 - first
from services.common.infra.process.startup import run
from services.stack.errors import StackError
from services.stack.settings import StackSettings
from services.stack.terminal.serve import serve


def main() -> None:
    """Serve. Exit with 78 if a setting is wrong, with 1 if the stack cannot start for another reason."""
    settings = StackSettings.load()
    gc.freeze()
    gc.enable()
    try:
        sys.exit(asyncio.run(serve(settings)))
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    run(main)
