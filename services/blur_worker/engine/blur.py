"""The story of one image: read it, blur each frame where asked, write it."""

from services.blur_worker.engine.effects import apply
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.blur_worker.engine.picture import Blurred, Frame, Limits
from services.blur_worker.engine.reading import read
from services.blur_worker.engine.regions import blend, mask_of, reached
from services.blur_worker.engine.stopwatch import Stopwatch
from services.blur_worker.engine.writing import write
from services.common.spec import BlurSpec

_FASTER = (blur_whole,)
"""Paths for certain files and specs; each gives None for what it is not made for."""


def blur(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    """Blurs an encoded image of any enabled format.

    EXIF orientation is applied first and baked in; regions are fractions of the displayed image; metadata other than
    the ICC profile and the resolution goes unless the spec keeps it.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE; trying again would not help.
        MemoryError: The process' limit was hit; says nothing about the image.
    """
    for path in _FASTER:
        if blurred := path(data, spec, limits):
            return blurred
    return _blur_pixels(data, spec, limits)


def _blur_pixels(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    watch = Stopwatch()
    picture = read(data, limits, spec.output_format, keep_metadata=spec.keep_metadata)
    watch.lap("decode")
    target = spec.output_format or picture.format
    frames = [_blur_frame(frame, spec) for frame in picture.frames]
    watch.lap("blur")
    first = frames[0].image
    encoded = write(picture, frames, target, spec)
    watch.lap("encode")
    return Blurred(encoded, target, first.width, first.height, len(frames), path="pixels", seconds=watch.seconds)


def _blur_frame(frame: Frame, spec: BlurSpec) -> Frame:
    image = frame.image
    if not spec.regions:
        return Frame(apply(spec.effect, image, image.size), frame.milliseconds)
    mask = mask_of(spec, image.size)
    touched = mask.getbbox()
    if touched is None:
        return frame
    # Only the pixels that the regions can see are computed: a face in a large photograph costs what the face costs.
    area = reached(touched, spec.effect, image.size)
    result = image.copy()
    result.paste(blend(image.crop(area), apply(spec.effect, image.crop(area), image.size), mask.crop(area)), area)
    return Frame(result, frame.milliseconds)
