"""The path of a JPEG that is blurred, pixelated or filled as a whole, and stays a JPEG."""

from collections.abc import Sequence

from services.blur_worker.engine.finding.find import DetectorSource
from services.blur_worker.engine.images import Blurred
from services.blur_worker.engine.jpeg.encode.writer import QuantizedPlane, write_jpeg
from services.blur_worker.engine.jpeg.filled import filled_planes
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.format.result_header import ResultHeader
from services.blur_worker.engine.jpeg.original import OriginalJpeg, jpeg_to_jpeg, open_original
from services.blur_worker.engine.jpeg.pixelated import pixelated_planes
from services.blur_worker.engine.jpeg.transform.plain_plane import without_detail
from services.blur_worker.engine.jpeg.transform.plane_blur import PlaneBlur
from services.blur_worker.engine.jpeg.transform.planes import PlaneSet, plan
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.regions import hides_whole
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format, Gaussian, Pixelate, Redact, Solid

NAME = "jpeg-coefficients"
_SMALL_CELL, _MANY_PIXELS = 4, 16_000_000
"""Cells of fewer pixels a side take more time and memory than pixels do; of large images there is not enough."""
_SIGMA_OF_MEANS = 20.0
"""A blur that needs nothing but the mean of each block: fills need even less."""


def blur_whole(data: bytes, spec: BlurSpec, limits: Limits, _detectors: DetectorSource | None = None) -> Blurred | None:
    """Hide a JPEG from coefficients to coefficients; return None if the file or the spec is not one for this path.

    Raises:
        ImageError: TOO_LARGE.
    """
    if not (jpeg_to_jpeg(data, spec) and hides_whole(spec)):
        return None
    try:
        return _blur(data, spec, limits)
    except UnsupportedJpeg:
        return None


def _blur(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred:
    timer = StageTimer()
    original = open_original(data, limits, keep_metadata=spec.keep_metadata)
    if original.has_odd_chroma:
        raise UnsupportedJpeg("chroma that is not blurred as it is shown")
    width, height = original.displayed
    small = isinstance(spec.effect, Pixelate) and spec.effect.cell_px(width, height) < _SMALL_CELL
    if small and width * height > _MANY_PIXELS:
        raise UnsupportedJpeg("many small cells")
    decoded = _decoded(original, spec)
    timer.lap("decode")
    header = original.result_header(spec, decoded)
    encoded = write_jpeg(_planes(original, decoded, spec, header), header, timer)
    return Blurred(
        data=encoded, format=Format.JPEG, width=width, height=height, frames=1, path=NAME, seconds=timer.seconds
    )


def _decoded(original: OriginalJpeg, spec: BlurSpec) -> PlaneSet:
    """Decode what the effect needs of the original, for a fill only to see that it can be decoded."""
    effect, sigma, sharp = spec.effect, _SIGMA_OF_MEANS, False
    if not effect.irreversible:
        sigma = effect.sigma_px(*original.displayed) if isinstance(effect, Gaussian) else 0
        sharp = original.may_be_text
    if sharp and original.frame.progressive:
        # What its blocks reach is known only after all scans, and most of them are not decoded here.
        raise UnsupportedJpeg("a progressive page of text")
    planes = plan(original.frame, sigma, original.orientation, sharp=sharp)
    original.decode_into(planes)
    return planes


def _planes(
    original: OriginalJpeg, decoded: PlaneSet, spec: BlurSpec, header: ResultHeader
) -> Sequence[QuantizedPlane]:
    match spec.effect:
        case Gaussian():
            planes = [without_detail(plane) if plane.sharp else plane for plane in decoded.planes]
            return [PlaneBlur(plane, table) for plane, table in zip(planes, header.quantization, strict=True)]
        case Pixelate() as effect:
            side = effect.cell_px(*original.displayed)
            return pixelated_planes(decoded.planes, original.displayed, side, header.quantization)
        case Solid() | Redact() as effect:
            return filled_planes(decoded.planes, original.displayed, effect, header.quantization)
