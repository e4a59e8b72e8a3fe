"""The path of a JPEG that is blurred as a whole, and stays a JPEG."""

from services.blur_worker.engine.images import Blurred
from services.blur_worker.engine.jpeg.blurring import PlaneBlur
from services.blur_worker.engine.jpeg.envelope import envelope
from services.blur_worker.engine.jpeg.grid import plan
from services.blur_worker.engine.jpeg.markers import UnfitError
from services.blur_worker.engine.jpeg.opening import open_jpeg
from services.blur_worker.engine.jpeg.writing import write
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.spec import BlurSpec, Format, Gaussian

NAME = "jpeg-synthesis"


def blur_whole(data: bytes, spec: BlurSpec, limits: Limits) -> Blurred | None:
    """Blurs a JPEG from coefficients to coefficients; None if the file or the wish is not one for this path.

    Raises:
        ImageError: TOO_LARGE.
    """
    jpeg = data.startswith(b"\xff\xd8\xff") and spec.output_format in {None, Format.JPEG}
    if not (jpeg and isinstance(spec.effect, Gaussian)) or spec.regions:
        return None
    try:
        return _blur(data, spec, spec.effect, limits)
    except UnfitError:
        return None


def _blur(data: bytes, spec: BlurSpec, effect: Gaussian, limits: Limits) -> Blurred:
    timer = StageTimer()
    opened = open_jpeg(data, limits, keep_metadata=spec.keep_metadata)
    picture = plan(opened.frame, effect.sigma_px(*opened.displayed), opened.orientation)
    opened.read_into(picture)
    timer.lap("decode")
    sampling = tuple((grid.horizontal, grid.vertical) for grid in picture.grids)
    head = envelope(opened.small_result(spec), *opened.displayed, sampling)
    planes = [PlaneBlur(grid, table) for grid, table in zip(picture.grids, head.quantization, strict=True)]
    encoded = write(planes, head, timer)
    width, height = opened.displayed
    return Blurred(
        data=encoded, format=Format.JPEG, width=width, height=height, frames=1, path=NAME, seconds=timer.seconds
    )
