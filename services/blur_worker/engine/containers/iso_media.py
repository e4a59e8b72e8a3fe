"""The boxes of an ISO base media file, as far as they describe the displayed area and colours of an AVIF or HEIC.

Source: ISO/IEC 14496-12, 23008-12 (item properties); AV1 Image File Format.
"""

import struct
from collections.abc import Iterator, Mapping

from services.blur_worker.engine.raster import Box, Size

MAX_BOXES = 10_000
_SAMPLE_ENTRY_BYTES = 78
Boxes = Iterator[tuple[bytes, memoryview]]


def displayed_properties(data: bytes) -> Mapping[bytes, bytes]:
    """Return the properties of the image that is shown, by type; of an animation those of its track.

    Of `colr` there may be two: `colr` is one by numbers (nclx), a profile is left out.
    """
    view = memoryview(data)
    top = dict(boxes(view))
    try:
        found = _track_properties(top) if bytes(view[8:12]) == b"avis" else None
        return found or _primary_item_properties(top)
    except (KeyError, IndexError, struct.error, ValueError):
        return {}


def clean_aperture(properties: Mapping[bytes, bytes], size: Size) -> Box | None:
    """Return what `clap` leaves of an image of this size, as stored; None if that is all, or malformed."""
    content = properties.get(b"clap", b"")
    if len(content) < 32:
        return None
    width_n, width_d, height_n, height_d, x_n, x_d, y_n, y_d = struct.unpack_from(">IIIIiIiI", content)
    if 0 in (width_d, height_d, x_d, y_d) or width_n % width_d or height_n % height_d:
        return None
    width, height = width_n // width_d, height_n // height_d
    # The centre of the aperture is (size - 1) / 2 + offset; in halves of a pixel over the denominator.
    left, top = (size[0] - width) * x_d + 2 * x_n, (size[1] - height) * y_d + 2 * y_n
    if left % (2 * x_d) or top % (2 * y_d):
        return None
    left, top = left // (2 * x_d), top // (2 * y_d)
    if not (width and height and left >= 0 and top >= 0 and left + width <= size[0] and top + height <= size[1]):
        return None
    return (left, top, left + width, top + height)


def chroma_subsampling(properties: Mapping[bytes, bytes]) -> str:
    """Return how the AV1 stream stores chroma: 4:4:4, 4:2:2 or 4:2:0 (AV1 in ISOBMFF, section 2.3: av1C)."""
    configuration = properties.get(b"av1C", b"")
    flags = configuration[2] if len(configuration) > 2 else 0b1100
    return {0: "4:4:4", 0b1000: "4:2:2"}.get(flags & 0b1100, "4:2:0")


def with_code_points(data: bytes, primaries: int, transfer: int) -> bytes:
    """Return a file whose boxes `colr` name these; their matrix stays, and so do all places in the file."""
    patched, header = bytearray(data), b"colrnclx"
    end = patched.find(b"mdat")
    at = patched.find(header, 0, end if end > 0 else None)
    while at >= 0:
        struct.pack_into(">HH", patched, at + len(header), primaries, transfer)
        at = patched.find(header, at + 1, end if end > 0 else None)
    return bytes(patched)


def boxes(view: memoryview) -> Boxes:
    """Yield the type and the content of each box, up to the first malformed one."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(view):
            return
        size, header = int.from_bytes(view[at : at + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(view[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(view) - at
        if size < header:
            return
        yield bytes(view[at + 4 : at + 8]), view[at + header : at + size]
        at += size


def _primary_item_properties(top: Mapping[bytes, memoryview]) -> dict[bytes, bytes]:
    meta = dict(boxes(top[b"meta"][4:]))
    primary = meta[b"pitm"]
    item = int.from_bytes(primary[4:6] if primary[0] == 0 else primary[4:8], "big")
    properties = dict(boxes(meta[b"iprp"]))
    all_properties = list(boxes(properties[b"ipco"]))
    return _gathered(all_properties[index - 1] for index in associations(properties[b"ipma"], item) if index)


def associations(ipma: memoryview, item: int) -> list[int]:
    """Return the numbers of an item's properties, from 1 on."""
    version, wide = ipma[0], ipma[3] & 1
    (entries,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(entries, MAX_BOXES)):
        size = 2 if version < 1 else 4
        found = int.from_bytes(ipma[at : at + size], "big")
        count = ipma[at + size]
        at += size + 1
        if found == item:
            numbers = struct.unpack_from(f">{count}H" if wide else f">{count}B", ipma, at)
            return [number & (0x7FFF if wide else 0x7F) for number in numbers]
        at += count * (2 if wide else 1)
    return []


def _track_properties(top: Mapping[bytes, memoryview]) -> dict[bytes, bytes]:
    for name, track in boxes(top[b"moov"]):
        if name != b"trak":
            continue
        media = dict(boxes(dict(boxes(track))[b"mdia"]))
        if bytes(media[b"hdlr"][8:12]) != b"pict":
            continue
        samples = dict(boxes(dict(boxes(media[b"minf"]))[b"stbl"]))
        for _, entry in boxes(samples[b"stsd"][8:]):
            return _gathered(boxes(entry[_SAMPLE_ENTRY_BYTES:]))
    return {}


def _gathered(boxes: Boxes) -> dict[bytes, bytes]:
    return {name: bytes(content) for name, content in boxes if name != b"colr" or bytes(content[:4]) == b"nclx"}
