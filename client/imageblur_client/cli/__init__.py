"""The command line `imageblur`.

Results go to stdout, progress and errors to stderr. Exit codes, the same for every command:

    0    success
    1    the order finished, but an image or its delivery failed, or a result
         still shows what was to be hidden; or the mail server did not accept a
         test e-mail
    2    the command line is wrong, or a file to send does not exist
    3    the server refused the request: an argument is wrong, the order is not
         in the required state, or the API key does not allow it
    4    not found
    5    the server cannot be reached or is busy: try again later
    6    any other error
    130  interrupted by Ctrl-C
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
