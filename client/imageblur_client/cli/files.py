"""Selects the files of an order before anything is sent."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

SUFFIXES = frozenset(
    ".apng .avif .avifs .bmp .dib .gif .heic .heif .hif .jfif .jpe .jpeg .jpg .png .tif .tiff .webp".split()  # noqa: SIM905
)
"""Of the files that are sent from folders; a file that is named is sent whatever its suffix."""
_MAX_NAMED = 5


def chosen_files(given: Sequence[Path], *, recurse: bool) -> list[Path]:
    """Return the given files, and with `recurse` the images in the given folders, sorted."""
    missing = [path for path in given if not path.exists()]
    if missing:
        raise typer.BadParameter("; ".join(_missing_messages(missing)), param_hint="FILES")
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        if not recurse:
            raise typer.BadParameter(f"{path} is a folder: use -r to include the images in it", param_hint="FILES")
        found = sorted(_images_in(path))
        if not found:
            raise typer.BadParameter(f"there are no images in {path}", param_hint="FILES")
        files += found
    return files


def _images_in(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(where, name)


def _missing_messages(missing: Sequence[Path]) -> Iterator[str]:
    yield from (f"{path} does not exist" for path in missing[:_MAX_NAMED])
    if len(missing) > _MAX_NAMED:
        yield f"and {len(missing) - _MAX_NAMED} more"
