"""The story of one image: read it, blur each frame where asked, write it."""

from dataclasses import replace

from services.blur_worker.engine.frames import blur_frame
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.blur_worker.engine.picture import Blurred, Limits
from services.blur_worker.engine.reading import read
from services.blur_worker.engine.stopwatch import Stopwatch
from services.blur_worker.engine.writing import write
from services.common.domain.spec import BlurSpec

_SPECIAL = (blur_whole, blur_regions)
"""Paths for certain files and specs; each gives None for what it is not made for, which is then done as pixels."""


def blur(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    """Blurs an encoded image of any enabled format.

    EXIF orientation is applied first and baked in; regions are fractions of the displayed image; metadata other than
    the ICC profile and the resolution goes unless the spec keeps it.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE; trying again would not help.
        MemoryError: The process' limit was hit; says nothing about the image.
    """
    for path in _SPECIAL:
        if blurred := path(data, spec, limits):
            return blurred
    return _blur_pixels(data, spec, limits)


def _blur_pixels(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    watch = Stopwatch()
    picture = read(data, limits, spec.output_format, keep_metadata=spec.keep_metadata)
    watch.lap("decode")
    target = spec.output_format or picture.format
    frames = list(picture.frames)
    picture = replace(picture, frames=())
    for index, frame in enumerate(frames):
        frames[index] = blur_frame(frame, spec)  # one after the other: none is needed twice
        del frame
    watch.lap("blur")
    width, height = frames[0].raster.size
    encoded = write(picture, frames, target, spec)
    watch.lap("encode")
    return Blurred(encoded, target, width, height, len(frames), path="pixels", seconds=watch.seconds)
