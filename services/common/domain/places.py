"""Places that an operator has named: where sources are read from, and results written to.

A caller names a place and a key in it, never a path or a bucket. Keys are as in object stores: parts separated by `/`,
of which none is empty, `.` or `..`, so that no key leads out of its place.
"""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.common.domain.spec import FORMATS_BY_EXTENSION, OTHER_EXTENSIONS

MAX_KEY_BYTES = 1024
"""Longest key, as in S3."""
IMAGE_EXTENSIONS = FORMATS_BY_EXTENSION.keys() | OTHER_EXTENSIONS.keys()
"""Extensions of the files that a listing takes without a pattern."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,39})")


class BadKey(ValueError):
    """A key or prefix is not accepted; the text describes what is wrong."""


@dataclass(frozen=True, kw_only=True)
class PlaceKey:
    """A file of a place."""

    place: str
    key: str

    def __str__(self) -> str:
        """Return `place:key`."""
        return f"{self.place}:{self.key}"


def parse_places(text: str) -> Mapping[str, str]:
    """Return places by name from `photos=s3://bucket/prefix, scans=/srv/scans`: folders, or S3 URLs.

    Raises:
        ValueError: One is malformed; the text does not repeat a location, which may contain a secret.
    """
    places: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, location = (each.strip() for each in part.partition("="))
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(
                "must be places such as photos=s3://bucket/prefix, scans=/srv/scans; a name has small letters, digits, "
                "_ and -"
            )
        if name in places:
            raise ValueError(f"{name} is named twice")
        if not location.startswith(("s3://", "/")):
            raise ValueError(f"{name} must be an absolute path or s3://bucket/prefix")
        places[name] = location
    return places


def check_key(key: str) -> None:
    """Check the key of a file.

    Raises:
        BadKey: It is not accepted.
    """
    if not key:
        raise BadKey("must not be empty")
    _check(key)
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise BadKey("must not begin or end with /, and have no part that is empty, . or ..")


def parse_prefix(prefix: str) -> str:
    """Return the folder that a prefix names, with a `/` at its end; empty: the whole place.

    Raises:
        BadKey: It is not accepted.
    """
    folder = prefix.removesuffix("/")
    if not folder:
        if prefix:
            raise BadKey("must not be /: leave it empty for the whole place")
        return ""
    check_key(folder)
    return folder + "/"


def matches(name: str, pattern: str) -> bool:
    """Return whether a listing takes a file, by the part of its key behind the prefix."""
    if pattern:
        return fnmatch.fnmatchcase(name, pattern)
    return name.rpartition(".")[2].lower() in IMAGE_EXTENSIONS and "." in name


def _check(key: str) -> None:
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise BadKey(f"is longer than {MAX_KEY_BYTES} bytes")
    if "\\" in key or any(ord(character) < 32 or ord(character) == 127 for character in key):
        raise BadKey("must not contain a backslash or a control character")
