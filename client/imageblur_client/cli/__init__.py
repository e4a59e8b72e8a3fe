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

from imageblur_client.cli.app import app


def main() -> None:
    """Run the command in sys.argv, and exit."""
    app(prog_name="imageblur")


__all__ = ["app", "main"]
