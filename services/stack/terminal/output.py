"""Write the lines of many programs to one terminal, each with the name of its program."""

import errno
import os
import sys
from collections.abc import Iterable
from typing import TextIO

OWN_NAME = "stack"
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Output:
    """Prefixes each line with its program's padded name, in a colour of its own on a terminal."""

    def __init__(self, names: Iterable[str], stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        names = [OWN_NAME, *names]
        self._width = max(len(name) for name in names)
        self._colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, name: str, text: str) -> None:
        """Write one line of a program."""
        prefix = f"{name:<{self._width}} |"
        if self._coloured:
            prefix = f"\033[{self._colours.get(name, 37)}m{prefix}\033[0m"
        self._write(f"{prefix} {text}\n")

    def message(self, text: str) -> None:
        """Write a message of the stack itself, of one line or several."""
        for line in text.splitlines():
            self.line(OWN_NAME, line)

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return  # the line is lost; there may be space for the next one
            # The reader has closed the pipe (`make run | head`); the services must still be supervised and stopped.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class LineSplitter:
    """Splits a stream of bytes into lines; cuts very long ones, so that memory stays bounded."""

    LONGEST = 64 * 1024

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Add bytes and return the complete lines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self.LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def end(self) -> list[str]:
        """Return the remainder that has no line end."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []
