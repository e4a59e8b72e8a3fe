"""How often an animated AVIF is played: by its edit lists, and the durations of movie and tracks.

Source: ISO/IEC 14496-12, sections 8.2.2, 8.3.2 and 8.6.6; AV1 Image File Format, section 4.
"""

import struct
from collections.abc import Iterator

from services.blur_worker.engine.containers.iso_media import boxes

_REPEATS = 1
_MOST = 65_535
"""As many as GIF and WebP hold."""
_MOVIE_DURATION, _TRACK_DURATION = (16, 24), (20, 28)
"""Where the duration is in mvhd and tkhd, of versions 0 (32 bits) and 1 (64 bits)."""


def count_plays(data: bytes) -> int:
    """Return how often an animation is played; 0: for ever, or not known."""
    try:
        for _, track, edits in _tracks(memoryview(data)):
            once = _get(edits, (8, 8))
            if not edits[3] & _REPEATS:
                return 1
            duration = _get(track, _TRACK_DURATION)
            for_ever = duration == (1 << (64 if track[0] else 32)) - 1
            return 0 if for_ever or not once else min(-(-duration // once), _MOST)
    except (KeyError, IndexError, struct.error):
        pass
    return 0


def with_plays(data: bytes, plays: int) -> bytes:
    """Return an animation of libavif's that is played so often, at least once; all places in the file stay.

    Another version of libavif may write no edit lists: then the animation is returned as it is.
    """
    patched = bytearray(data)
    try:
        for movie, track, edits in _tracks(memoryview(patched)):
            duration = plays * _get(edits, (8, 8))
            _set(movie, _MOVIE_DURATION, duration)
            _set(track, _TRACK_DURATION, duration)
            edits[3] = _REPEATS if plays > 1 else 0
    except (KeyError, IndexError, struct.error):
        return data
    return bytes(patched)


def _tracks(view: memoryview) -> Iterator[tuple[memoryview, memoryview, memoryview]]:
    """Yield mvhd, and of each track tkhd and elst."""
    movie = list(boxes(dict(boxes(view))[b"moov"]))
    for name, content in movie:
        if name == b"trak":
            track = dict(boxes(content))
            yield dict(movie)[b"mvhd"], track[b"tkhd"], dict(boxes(track[b"edts"]))[b"elst"]


def _get(box: memoryview, places: tuple[int, int]) -> int:
    number: int = struct.unpack_from(">Q" if box[0] else ">I", box, places[1 if box[0] else 0])[0]
    return number


def _set(box: memoryview, places: tuple[int, int], value: int) -> None:
    struct.pack_into(">Q" if box[0] else ">I", box, places[1 if box[0] else 0], value)
