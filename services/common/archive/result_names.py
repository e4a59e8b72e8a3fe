"""Names of results: safe on every system, and unique within an order, whatever the client sent."""

import re
import unicodedata
from collections.abc import Iterable

from services.common.domain.spec import Format

# Characters that Windows, the strictest system, does not allow, and separators of any system.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u202a-\u202e\u2066-\u2069]')
_MAX_STEM_BYTES = 150


def result_names(images: Iterable[tuple[str, Format]]) -> list[str]:
    """Return `blur_<name>` for each (file name as sent, format of the result), with an extension of the format.

    With the prefix, no name is one that Windows reserves (CON, NUL), or begins with a dot or a dash.
    """
    taken: set[str] = set()
    # The last number of each name: thousands of equal names must not each count from 1.
    numbers: dict[str, int] = {}
    names = []
    for filename, result_format in images:
        stem, ending = _split(filename)
        extensions = result_format.extensions
        extension = ending if ending.lower() in extensions else extensions[0]
        name = f"blur_{stem}.{extension}"
        first = name.casefold()
        while name.casefold() in taken:
            numbers[first] = numbers.get(first, 1) + 1
            name = f"blur_{stem}_{numbers[first]}.{extension}"
        taken.add(name.casefold())
        names.append(name)
    return names


def target_names(images: Iterable[tuple[str, Format | None]]) -> list[str]:
    """Return keys for results that are written to a place: unique, with the extension of the format.

    Args:
        images: For each its file name as sent, or a path whose folders are kept, and the format of the result; None: as
            its original, whose extension is then kept.
    """
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    unique = []
    for name, output_format in images:
        folder, slash, last = name.rpartition("/")
        stem, ending = _split(last)
        if output_format and ending.lower() not in output_format.extensions:
            ending = output_format.extensions[0]
        ending = f".{_UNSAFE.sub('_', ending)}" if ending else ""
        key = first = f"{folder}{slash}{stem}{ending}"
        while key.casefold() in taken:
            numbers[first.casefold()] = numbers.get(first.casefold(), 1) + 1
            key = f"{folder}{slash}{stem}_{numbers[first.casefold()]}{ending}"
        taken.add(key.casefold())
        unique.append(key)
    return unique


def with_extension(key: str, result_format: Format) -> str:
    """Return the key of a result, with an extension of its format added if it has none of it."""
    ending = key.rpartition("/")[2].rpartition(".")[2].lower()
    extensions = result_format.extensions
    return key if ending in extensions else f"{key}.{extensions[0]}"


def _split(filename: str) -> tuple[str, str]:
    last = re.split(r"[/\\]", filename)[-1]
    stem, dot, ending = last.rpartition(".")
    if not dot or not stem:
        stem, ending = last, ""
    stem = _UNSAFE.sub("_", unicodedata.normalize("NFC", stem)).strip(". ")
    stem = stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES].decode("utf-8", "ignore")
    return stem or "image", ending
