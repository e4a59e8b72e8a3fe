"""Blur one encoded image: decode, find what is to be hidden, hide it in each frame, encode, check. Or only find."""

from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.find_and_hide import find_and_hide
from services.blur_worker.engine.finding.find import DetectorSource, find_in
from services.blur_worker.engine.images import Blurred, FoundRegions
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.pixel_image import PixelImage
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec

FAST_PATHS = (blur_whole, blur_regions)
"""Paths for certain files and specs; each returns None for what it does not support."""


def blur(data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource | None = None) -> Blurred:
    """Blur an encoded image of any supported format.

    The image is turned upright first, as by browsers. Regions are fractions of the displayed image. Of the metadata
    only colours and the resolution are kept, unless the spec asks for the rest.

    Args:
        data: The file.
        spec: What to hide, and how.
        limits: On the image's size.
        detectors: Needed by a spec that asks to find something.

    Raises:
        ImageError: NOT_AN_IMAGE, UNSUPPORTED, CORRUPT or TOO_LARGE. Permanent: another attempt fails as well.
        DetectorMissing: A detector is not installed here.
        MemoryError: The process reached its memory limit; the image may be sound.
    """
    for fast_path in FAST_PATHS:
        if blurred := fast_path(data, spec, limits, detectors):
            return blurred
    return _blur_pixels(data, spec, limits, detectors)


def find_regions(data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource) -> FoundRegions:
    """Return what `blur` finds in an encoded image with the same spec, without blurring it.

    That is in all of its frames or pages, or in the first one if the spec's format holds no more.

    Raises:
        ImageError: See `blur`.
        DetectorMissing: A detector is not installed here.
        MemoryError: The process reached its memory limit; the image may be sound.
    """
    frames = decode(data, limits, spec.output_format, keep_metadata=False).frames
    findings = find_in((frame.raster for frame in frames), spec.find, spec.effort, detectors)
    width, height = frames[0].raster.size
    return FoundRegions(findings=tuple(findings), width=width, height=height)


def _blur_pixels(data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource | None) -> Blurred:
    timer = StageTimer()
    decoded = decode(data, limits, spec.output_format, keep_metadata=spec.keep_metadata)
    timer.lap("decode")
    return find_and_hide(PixelImage(decoded, timer), spec, limits, detectors, timer)
