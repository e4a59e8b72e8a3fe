"""The files below a folder that others write to."""

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """All files below it, sorted; a folder that disappears meanwhile holds none (`Path.rglob` raises for it)."""
    return sorted(Path(at, name) for at, _, names in os.walk(folder) for name in names)
