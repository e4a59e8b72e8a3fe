"""The files below a folder that others write to."""

import contextlib
import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """All files below it, sorted; a folder that disappears meanwhile holds none (`Path.rglob` raises for it)."""
    return sorted(Path(at, name) for at, _, names in os.walk(folder) for name in names)


def sizes_below(folder: Path) -> list[int]:
    """The sizes of all files below it in bytes, without those that disappear meanwhile."""
    sizes = []
    for path in files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sizes
