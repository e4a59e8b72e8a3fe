"""Report to the person who waits that the engine is being compiled, and how far it is."""

import json
import os
import re
import sys
import time
from pathlib import Path

_ENGINE = Path(__file__).parents[1]
_DECORATED = re.compile(r"^@compiled\((?!\)|inline|nrt)", re.MULTILINE)


class CompileProgress:
    """Announces each loop."""

    def __init__(self) -> None:
        self._loops = 0
        self._start = time.monotonic()

    def add(self) -> None:
        """Count a loop that was compiled."""
        self._loops += 1
        announce(
            f"compiling the engine, once for this version and processor: {self._loops} of {count_loops()} loops, "
            f"{time.monotonic() - self._start:.0f} s"
        )


def announce(text: str) -> None:
    """Write a line to the log of the service whose process this is: the engine knows no settings and no logger."""
    if os.environ.get("IMAGEBLUR_LOG_FORMAT") == "json":
        text = json.dumps({"event": text, "level": "info"})
    print(text, file=sys.stderr, flush=True)


def count_loops() -> int:
    """Return how many loops there are to compile, by the sources of the engine."""
    return sum(_loops_by_module().values())


def compiled_modules() -> list[str]:
    """Return the names of the modules with such loops."""
    return [name for name, loops in _loops_by_module().items() if loops]


def _loops_by_module() -> dict[str, int]:
    package = __name__.removesuffix(".compiling.progress")
    return {
        ".".join((package, *source.relative_to(_ENGINE).with_suffix("").parts)): len(
            _DECORATED.findall(source.read_text(encoding="utf-8"))
        )
        for source in sorted(_ENGINE.rglob("*.py"))
    }
