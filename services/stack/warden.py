"""Ends the services when the stack is killed: waits for the end of a pipe that only the stack holds.

Run as `python -m services.stack.warden LEDGER TOKEN`. The next start would clean up as well; this spares the
hours until then.
"""

import subprocess
import sys
from pathlib import Path

from services.stack import leftovers
from services.stack.process import python_module


class Warden:
    """The stack's hold on the warden's process."""

    def __init__(self, ledger: Path, token: str) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - this very module
            python_module(__spec__.name, str(ledger), token),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it go, once nothing is left to end."""
        self._popen.communicate()


def main() -> None:
    """Wait for the stack to go; what it has started, and not ended, is ended."""
    ledger, token = Path(sys.argv[1]), sys.argv[2]
    sys.stdin.buffer.read()
    run = leftovers.read(ledger)
    if run is not None and run.token == token:  # another token: a new stack has cleaned up and gone on
        leftovers.end(run)


if __name__ == "__main__":
    main()
