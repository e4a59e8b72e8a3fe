"""Names under which what a server sends may be saved: always in the folder that was asked for."""

import re
from collections.abc import Container
from pathlib import PurePosixPath

# Separators are handled apart; the rest cannot be written on Windows, or does things to a terminal.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]')
_LONGEST = 240


def safe_name(name: str) -> str:
    """The last part of a name, fit for any file system; never empty, hidden, or a way out of a folder."""
    last = re.split(r"[/\\]", name)[-1]
    last = _UNSAFE.sub("_", last).strip(" ").lstrip(".").rstrip(". ")
    return _shortened(last) or "image"


def unique_name(name: str, taken: Container[str]) -> str:
    """The name, or with a number when it is taken; `taken` holds casefolded names."""
    path = PurePosixPath(name)
    count = 1
    while name.casefold() in taken:
        count += 1
        name = f"{path.stem}-{count}{path.suffix}"
    return name


def _shortened(name: str) -> str:
    """At most 240 bytes of UTF-8 (file systems take 255), the suffix kept."""
    if len(name.encode()) <= _LONGEST:
        return name
    suffix = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix) <= 16 else ""
    stem = name[: len(name) - len(suffix)].encode()[: _LONGEST - len(suffix.encode())]
    return stem.decode("utf-8", "ignore") + suffix
