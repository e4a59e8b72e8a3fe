"""The command line `imageblur`.

Results go to stdout, progress and errors to stderr. Exit codes, the same for every command:

    0    all went well
    1    the order finished, but not every image was blurred, or the mail failed
    2    the command line is wrong, or a file to send is not there
    3    the server refused what was asked: an argument is wrong, the order is not in the state for it, or the key may
         not
    4    there is no such order
    5    the server cannot be reached or is busy: try again later
    6    anything else
    130  interrupted by Ctrl-C
"""

from imageblur_client.cli.app import app


def main() -> None:
    """Runs the command that sys.argv names, and exits."""
    app(prog_name="imageblur")


__all__ = ["app", "main"]
