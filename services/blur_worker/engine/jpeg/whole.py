"""The path of a JPEG that is blurred as a whole, and stays a JPEG."""

from services.blur_worker.engine.finding.find import DetectorSource
from services.blur_worker.engine.images import Blurred
from services.blur_worker.engine.jpeg.encode.writer import write_jpeg
from services.blur_worker.engine.jpeg.format.markers import UnsupportedJpeg
from services.blur_worker.engine.jpeg.original import jpeg_to_jpeg, open_original
from services.blur_worker.engine.jpeg.transform.plain_plane import without_detail
from services.blur_worker.engine.jpeg.transform.plane_blur import PlaneBlur
from services.blur_worker.engine.jpeg.transform.planes import plan
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.regions import hides_whole
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format, Gaussian

NAME = "jpeg-coefficients"


def blur_whole(data: bytes, spec: BlurSpec, limits: Limits, _detectors: DetectorSource | None = None) -> Blurred | None:
    """Blur a JPEG from coefficients to coefficients; return None if the file or the spec is not one for this path.

    Raises:
        ImageError: TOO_LARGE.
    """
    if not (jpeg_to_jpeg(data, spec) and isinstance(spec.effect, Gaussian) and hides_whole(spec)):
        return None
    try:
        return _blur(data, spec, spec.effect, limits)
    except UnsupportedJpeg:
        return None


def _blur(data: bytes, spec: BlurSpec, effect: Gaussian, limits: Limits) -> Blurred:
    timer = StageTimer()
    original = open_original(data, limits, keep_metadata=spec.keep_metadata)
    sigma = effect.sigma_px(*original.displayed)
    if original.has_odd_chroma:
        raise UnsupportedJpeg("chroma that is not blurred as it is shown")
    sharp = original.may_be_text
    if sharp and original.frame.progressive:
        # What its blocks reach is known only after all scans, and most of them are not decoded here.
        raise UnsupportedJpeg("a progressive page of text")
    coefficients = plan(original.frame, sigma, original.orientation, sharp=sharp)
    original.decode_into(coefficients)
    planes = [without_detail(plane) if sharp else plane for plane in coefficients.planes]
    timer.lap("decode")
    header = original.result_header(spec, coefficients)
    blurs = [PlaneBlur(plane, table) for plane, table in zip(planes, header.quantization, strict=True)]
    encoded = write_jpeg(blurs, header, timer)
    width, height = original.displayed
    return Blurred(
        data=encoded, format=Format.JPEG, width=width, height=height, frames=1, path=NAME, seconds=timer.seconds
    )
