"""File names for downloaded files, which can never leave the requested folder."""

import re
from collections.abc import Container
from pathlib import PurePosixPath

# Separators are handled separately; these are not allowed on Windows, or control a terminal.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]')
_MAX_BYTES = 240


def safe_name(name: str) -> str:
    """Return the last part of a name, valid on any file system; never empty, hidden, or a path."""
    last = re.split(r"[/\\]", name)[-1]
    last = _UNSAFE.sub("_", last).strip(" ").lstrip(".").rstrip(". ")
    return _shortened(last) or "image"


def unique_name(name: str, taken: Container[str]) -> str:
    """Return the name, with a number if it is taken; `taken` holds casefolded names."""
    path = PurePosixPath(name)
    count = 1
    while name.casefold() in taken:
        count += 1
        name = f"{path.stem}-{count}{path.suffix}"
    return name


def _shortened(name: str) -> str:
    """Shorten a name to 240 bytes of UTF-8 (file systems allow 255); keep its suffix."""
    if len(name.encode()) <= _MAX_BYTES:
        return name
    suffix = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix) <= 16 else ""
    stem = name[: len(name) - len(suffix)].encode()[: _MAX_BYTES - len(suffix.encode())]
    return stem.decode("utf-8", "ignore") + suffix
