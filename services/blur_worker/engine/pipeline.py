"""Blur one encoded image: decode, blur each frame, encode."""

from services.blur_worker.engine.blur_frame import blur_frame
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.encode import encode
from services.blur_worker.engine.images import Blurred
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec

FAST_PATHS = (blur_whole, blur_regions)
"""Paths for certain files and specs; each returns None for what it does not support."""


def blur(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    """Blur an encoded image of any supported format.

    The image is turned upright first, as by browsers. Regions are fractions of the displayed image. Of the metadata
    only colours and the resolution are kept, unless the spec asks for the rest.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE. Permanent: another attempt fails as well.
        MemoryError: The process reached its memory limit; the image may be sound.
    """
    for fast_path in FAST_PATHS:
        if blurred := fast_path(data, spec, limits):
            return blurred
    return _blur_pixels(data, spec, limits)


def _blur_pixels(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    timer = StageTimer()
    decoded = decode(data, limits, spec.output_format, keep_metadata=spec.keep_metadata)
    timer.lap("decode")
    frames, target = decoded.frames, spec.output_format or decoded.info.format
    for index in range(len(frames)):  # in place: each original frame is freed as soon as it is blurred
        frames[index] = blur_frame(frames[index], spec)
    timer.lap("blur")
    width, height = frames[0].raster.size
    encoded = encode(decoded.info, frames, target, spec)
    timer.lap("encode")
    return Blurred(
        data=encoded,
        format=target,
        width=width,
        height=height,
        frames=len(frames),
        path="pixels",
        seconds=timer.seconds,
    )
