"""One terminal for many programs: each line says whose it is."""

import errno
import os
import sys
from collections.abc import Iterable
from typing import TextIO

OWN_NAME = "stack"
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Output:
    """Writes lines with the name of their program, padded, in a colour of its own where a person is looking."""

    def __init__(self, names: Iterable[str], stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        names = [OWN_NAME, *names]
        self._width = max(len(name) for name in names)
        self._colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, name: str, text: str) -> None:
        """Write one line of a program's."""
        prefix = f"{name:<{self._width}} |"
        if self._coloured:
            prefix = f"\033[{self._colours.get(name, 37)}m{prefix}\033[0m"
        self._write(f"{prefix} {text}\n")

    def tell(self, text: str) -> None:
        """Write the stack's own words, which may be several lines."""
        for line in text.splitlines():
            self.line(OWN_NAME, line)

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return  # a line is lost with a full disk; there may be room for the next one
            # Whoever read this has gone (`make run | head`); the services still have to be served, and stopped.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class LineSplitter:
    """Cuts a stream of bytes into lines; a line without end is cut too, so that memory stays small."""

    LONGEST = 64 * 1024

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take in bytes, and give the lines that are whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self.LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def end(self) -> list[str]:
        """Give what is left without an end of line."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []
