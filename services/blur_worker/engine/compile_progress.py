"""Report to the person who waits that the engine is being compiled, and how far it is."""

import json
import os
import re
import sys
import time
from pathlib import Path

_DECORATED = re.compile(r"^@compiled\((?!\)|inline|nrt)", re.MULTILINE)


class CompileProgress:
    """Writes to standard error; nothing if all loops were compiled before."""

    def __init__(self) -> None:
        self.loops = 0
        self._start = time.monotonic()

    def add(self, *, anew: bool) -> None:
        """Count a loop that was compiled anew, or loaded."""
        self.loops += 1
        if not anew:
            return
        text = (
            f"compiling the engine, once for this version and processor: {self.loops} of {count_loops()} loops, "
            f"{time.monotonic() - self._start:.0f} s"
        )
        # The engine knows no settings and no logger; this line has to fit into the log of its service.
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
    package, folder = __name__.rpartition(".")[0], Path(__file__).parent
    return {
        ".".join((package, *source.relative_to(folder).with_suffix("").parts)): len(
            _DECORATED.findall(source.read_text(encoding="utf-8"))
        )
        for source in sorted(folder.rglob("*.py"))
    }
