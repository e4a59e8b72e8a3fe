"""A JPEG of which only the end marker is missing, as some cameras and programs leave it."""

from services.blur_worker.engine.jpeg.decode.image import decode_progressive, decode_sequential
from services.blur_worker.engine.jpeg.format.header_reader import HeaderReader
from services.blur_worker.engine.jpeg.format.markers import Marker, UnsupportedJpeg
from services.blur_worker.engine.jpeg.transform.planes import plan_as_stored
from services.blur_worker.engine.limits import Limits, check_size

_COUNTS = 1, 3, 4
_EOI = bytes([0xFF, Marker.EOI])


def completed(data: bytes, limits: Limits) -> bytes:
    """Return the file with an end marker if that is all that it lacks; otherwise the file as it is.

    Raises:
        ImageError: TOO_LARGE.
    """
    if data.endswith(_EOI) or not data.startswith(b"\xff\xd8\xff"):
        return data
    try:
        frame, scan = HeaderReader(data, counts=_COUNTS).first_scan()
        if data.find(_EOI, scan.start) >= 0:
            return data
        check_size((frame.width, frame.height), limits)
        ended = (data[:-1] if data.endswith(b"\xff") else data) + _EOI
        reader = HeaderReader(ended, counts=_COUNTS)
        frame, scan = reader.first_scan()
        # A file that was cut off ends as well, but not all of its blocks are there.
        (decode_progressive if frame.progressive else decode_sequential)(reader, frame, scan, plan_as_stored(frame, 1))
    except UnsupportedJpeg:
        return data
    return ended
