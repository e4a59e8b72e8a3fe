"""What is known of a JPEG before anything is decoded: kinds that are not supported, and parts that cost time."""

from services.blur_worker.engine.containers.jpeg_segments import SOS, count_behind, segments
from services.blur_worker.engine.formats.detect import unsupported
from services.blur_worker.engine.limits import Limits, check_count

_FRAMES = {
    0xC0: "", 0xC1: "", 0xC2: "", 0xC9: "", 0xCA: "",
    0xC3: "lossless JPEG", 0xC5: "hierarchical JPEG", 0xC6: "hierarchical JPEG", 0xC7: "hierarchical JPEG",
    0xCB: "lossless JPEG", 0xCD: "hierarchical JPEG", 0xCE: "hierarchical JPEG", 0xCF: "hierarchical JPEG",
    0xF7: "JPEG-LS",
}  # fmt: skip
"""By the marker that starts a frame; those of the first line are supported, with 8 bits."""
_COMPONENTS = {1, 3, 4}
_BITS = 8


def check_jpeg(data: bytes, limits: Limits) -> None:
    """Check a file.

    Raises:
        ImageError: UNSUPPORTED, naming what is, or TOO_LARGE, by its segments or scans.
    """
    count = 0
    for marker, fill, begin, end in segments(data):
        # Pillow reads fill bytes one by one.
        count += 1 + fill
        check_count(count, limits.max_segments, "segments and fill bytes")
        if marker in _FRAMES and end - begin >= 6:
            _check_frame(marker, data[begin:end])
        elif marker == SOS:
            more, scans = count_behind(data, end, limits.max_segments, limits.max_scans)
            check_count(count + more, limits.max_segments, "segments and fill bytes")
            check_count(1 + scans, limits.max_scans, "scans")


def _check_frame(marker: int, parameters: bytes) -> None:
    bits, height, components = parameters[0], int.from_bytes(parameters[1:3], "big"), parameters[5]
    if _FRAMES[marker]:
        raise unsupported(_FRAMES[marker])
    if bits != _BITS:
        raise unsupported(f"JPEG of {bits} bits")
    if components not in _COMPONENTS:
        raise unsupported(f"JPEG of {components} components")
    if height == 0:
        raise unsupported("JPEG whose height comes after its pixels")
