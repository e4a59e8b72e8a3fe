"""Compile all loops in a process that ends: the compiler keeps 150 MB to the end."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services.blur_worker.engine.compiling.folder import compile_lock, compiled_folder
from services.blur_worker.engine.compiling.linking import FILE, LinkedLoop, link_loops

_COMPILING = "IMAGEBLUR_COMPILING"
"""An environment variable of the process that compiles."""


def loops_compiled_elsewhere() -> Mapping[str, LinkedLoop] | None:
    """Return all loops, compiled if need be; None if this process is to compile them itself.

    It is if it has been started for that, if there is no folder for the code, and if something fails: without the
    engine there is no service.
    """
    if os.environ.get(_COMPILING):
        return None
    folder = compiled_folder()
    if folder is None or not compile_elsewhere(folder):
        return None
    try:
        return link_loops(folder)
    except Exception as error:  # whatever another version of numba or LLVM may raise
        print(f"compiled code cannot be linked, so it is compiled in each process: {error!r}", file=sys.stderr)
        return None


def compile_elsewhere(folder: Path) -> bool:
    """Compile all loops in another process, unless that has been done; return whether it has."""
    if (folder / FILE).exists():
        return True
    with compile_lock(folder):
        if (folder / FILE).exists():
            return True
        code = f"from {__package__}.compiler import compile_all; compile_all({str(folder)!r})"
        variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), _COMPILING: "1"}
        variables["PYTHONDONTWRITEBYTECODE"] = "1"  # 7 MB of numba's, which is imported once
        with contextlib.suppress(OSError):  # there is no room for one more process
            subprocess.run([sys.executable, "-c", code], env=variables, check=False)  # noqa: S603 - our own
    return (folder / FILE).exists()
