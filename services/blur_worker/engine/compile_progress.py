"""Tell the person who waits that the engine is being compiled, and how far it is."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOTICEABLE_SECONDS = 0.5
"""To load a compiled loop takes milliseconds."""
_DECORATED = re.compile(r"^@compiled\((?!\)|inline|nrt)", re.MULTILINE)


class CompileProgress:
    """Writes to standard error; nothing if all loops were compiled before."""

    def __init__(self) -> None:
        self._loops = 0
        self._seconds = 0.0

    @contextmanager
    def of_a_loop(self) -> Iterator[None]:
        """Report the loop that is compiled, or loaded, within this context."""
        start = time.monotonic()
        yield
        seconds = time.monotonic() - start
        self._loops += 1
        if seconds > _NOTICEABLE_SECONDS:
            self._seconds += seconds
            print(
                f"compiling the engine, once for this version and processor: {self._loops} of {count_loops()} loops, "
                f"{self._seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def count_loops() -> int:
    """Return how many loops there are to compile, by the sources of the engine."""
    sources = Path(__file__).parent.rglob("*.py")
    return sum(len(_DECORATED.findall(source.read_text(encoding="utf-8"))) for source in sources)
