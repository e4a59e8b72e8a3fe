"""Compile all loops in a process that ends: the compiler keeps 150 MB to the end."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services.blur_worker.engine.compiling.folder import FILE, compile_lock, compiled_folder
from services.blur_worker.engine.compiling.linking import DamagedCode, LinkedLoop, link_loops
from services.blur_worker.engine.compiling.progress import announce

_COMPILING = "IMAGEBLUR_COMPILING"
"""An environment variable of the process that compiles."""


def loops_compiled_elsewhere() -> Mapping[str, LinkedLoop] | None:
    """Return all loops, compiled if need be; None if this process is to compile them itself.

    It is if it has been started for that, if there is no folder for the code, and if something fails: without the
    engine there is no service.
    """
    if os.environ.get(_COMPILING):
        return None
    if (folder := compiled_folder()) is None:
        return None
    try:
        if not compile_elsewhere(folder):
            return None
        try:
            return link_loops(folder)
        except DamagedCode:  # of a power cut, for example
            (folder / FILE).unlink()
            return link_loops(folder) if compile_elsewhere(folder) else None
    except Exception as error:  # whatever another version of numba or LLVM, or a file system may raise
        announce(f"compiled code cannot be linked, so it is compiled in each process: {error!r}")
        return None


def compile_elsewhere(folder: Path) -> bool:
    """Compile all loops in another process, unless that has been done; return whether it has."""
    if (folder / FILE).exists():
        return True
    waiting = "another process compiles the engine: this one waits for it"
    with compile_lock(folder, lambda: announce(waiting)) as lock:
        if (folder / FILE).exists():
            return True
        code = f"from {__package__}.compiler import compile_all; compile_all({str(folder)!r})"
        variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), _COMPILING: "1"}
        variables["PYTHONDONTWRITEBYTECODE"] = "1"  # 7 MB of numba's, which is imported once
        try:
            # It has the lock, too: if this process ends meanwhile, no other one begins.
            subprocess.run([sys.executable, "-c", code], env=variables, check=True, pass_fds=[lock])  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:  # there is no room for one more process, perhaps
            announce(f"the engine cannot be compiled in a process of its own, so each compiles it: {error!r}")
    return (folder / FILE).exists()
