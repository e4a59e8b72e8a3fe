"""Images that the server fetches itself, and places that it writes results to."""

from typing import TypeAlias

from imageblur.v1.blur_service_pb2 import PlaceKey, Source, SourceListing, Target

AnySource: TypeAlias = str | Source
AnyListing: TypeAlias = str | SourceListing
AnyTarget: TypeAlias = str | Target


def source(text: str) -> Source:
    """Return the source `https://…`, or `place:key` for a file of a place that the operator has named.

    Raises:
        ValueError: It is neither.
    """
    if "://" in text:
        return Source(url=text)
    place, key = _split(text)
    return Source(file=PlaceKey(place=place, key=key))


def listing(text: str, pattern: str = "") -> SourceListing:
    """Return all images of a place, or of a folder in it: `place` or `place:folder`.

    Args:
        text: The place.
        pattern: Only files whose path in the folder matches; `*` matches any characters.
    """
    place, _, prefix = text.partition(":")
    return SourceListing(place=place, prefix=prefix, pattern=pattern)


def target(text: str) -> Target:
    """Return a place for results, or a folder in one: `place` or `place:folder`."""
    place, _, prefix = text.partition(":")
    return Target(place=place, prefix=prefix)


def as_source(given: AnySource) -> Source:
    """Return a source for a text or a source. Raises: ValueError."""
    return source(given) if isinstance(given, str) else given


def as_listing(given: AnyListing) -> SourceListing:
    """Return a listing for a text or a listing."""
    return listing(given) if isinstance(given, str) else given


def as_target(given: AnyTarget) -> Target:
    """Return a target for a text or a target."""
    return target(given) if isinstance(given, str) else given


def _split(text: str) -> tuple[str, str]:
    place, colon, key = text.partition(":")
    if not (place and colon and key):
        raise ValueError(f"{text!r} is neither https://… nor place:key")
    return place, key
