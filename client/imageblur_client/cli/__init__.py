"""The command line `imageblur`.

Results go to stdout, progress and errors to stderr. The exit codes, the same for every command, are in `app.py`.
"""

import gc
import os
import sys

# Modules leave no cycles to collect, and collecting takes a tenth of the start; `client_of` enables it again.
gc.disable()

from imageblur_client.cli.app import app  # noqa: E402 - see above


def main() -> None:
    """Run the command in sys.argv, and exit."""
    try:
        app(prog_name="imageblur")
    except SystemExit as ended:
        # Without the interpreter's end, which takes as long as a call: all files and connections are closed.
        if isinstance(ended.code, int) and _flushed():
            os._exit(ended.code)
        raise


def _flushed() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # a closed pipe: the interpreter reports it
        return False
    return True


__all__ = ["app", "main"]
