"""Report to the person who waits that the engine is being compiled, and how far it is."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

_COMPLETE = "complete"
"""A file in the folder of compiled code, once it has all of it."""
_COMPILING = "IMAGEBLUR_COMPILING"
"""An environment variable of the process that compiles."""
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


def compile_elsewhere(folder: Path) -> None:
    """Compile all loops in a process that ends, unless that has been done: the compiler keeps 150 MB to the end.

    If it does not succeed, this process compiles what it loads.
    """
    if (folder / _COMPLETE).exists() or os.environ.get(_COMPILING):
        return
    code = f"import importlib\nfor name in {compiled_modules()}: importlib.import_module(name)"
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), _COMPILING: "1"}
    if subprocess.run([sys.executable, "-c", code], env=variables, check=False).returncode == 0:  # noqa: S603 - our own
        (folder / _COMPLETE).touch()


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
