"""Which files an order takes, judged before anything is sent."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

# Only for what is found in folders; a file that is named is sent whatever it is called.
_SUFFIXES = frozenset(
    ".apng .avif .avifs .bmp .dib .gif .jfif .jpe .jpeg .jpg .png .tif .tiff .webp".split()  # noqa: SIM905
)
_MOST_NAMED = 5


def chosen_files(given: Sequence[Path], *, recurse: bool) -> list[Path]:
    """The files named, and with `recurse` the images in the folders named, sorted."""
    missing = [path for path in given if not path.exists()]
    if missing:
        raise typer.BadParameter("; ".join(_named(missing)), param_hint="FILES")
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        if not recurse:
            raise typer.BadParameter(f"{path} is a folder: give -r for the images in it", param_hint="FILES")
        found = sorted(_images_in(path))
        if not found:
            raise typer.BadParameter(f"there are no images in {path}", param_hint="FILES")
        files += found
    return files


def _images_in(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(where, name)


def _named(missing: Sequence[Path]) -> Iterator[str]:
    yield from (f"{path} does not exist" for path in missing[:_MOST_NAMED])
    if len(missing) > _MOST_NAMED:
        yield f"and {len(missing) - _MOST_NAMED} more"
