"""A JPEG of which nothing is left: of one colour, or redacted as a whole."""

from collections.abc import Sequence

import numpy as np

from services.blur_worker.engine.effects.redact import Redaction
from services.blur_worker.engine.effects.solid import SolidFill
from services.blur_worker.engine.jpeg.format.tables import QuantizationTable
from services.blur_worker.engine.jpeg.stored_pixels import MODES
from services.blur_worker.engine.jpeg.transform.cell_plane import CellPlane
from services.blur_worker.engine.jpeg.transform.cells import smooth_weights
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane
from services.blur_worker.engine.raster import Raster, Size
from services.common.domain.spec import Redact, Solid

_MIDDLE = 128


def filled_planes(
    planes: Sequence[CoefficientPlane], size: Size, effect: Solid | Redact, quantization: Sequence[QuantizationTable]
) -> list[CellPlane]:
    """Return the planes of an image of this size; of the planes of the original only the sizes are used."""
    v_max, h_max = max(plane.v for plane in planes), max(plane.h for plane in planes)
    width, height = size
    mode = MODES[len(planes)]
    if isinstance(effect, Solid):
        one_pixel = Raster(mode, np.zeros((1, 1, len(planes)), np.uint8))
        cells = SolidFill(effect.color).apply(one_pixel).samples.astype(np.float64)
        down, across = np.ones((1, height)), np.ones((1, width))
    else:
        # A raster of which there is nothing but its shape.
        cells, down, across = Redaction().cells_of_nothing(
            Raster(mode, np.broadcast_to(np.uint8(0), (height, width, len(planes))))
        )
    return [
        CellPlane(
            plane,
            (cells[..., channel] - _MIDDLE).astype(np.float32),
            smooth_weights(down, v_max // plane.v),
            smooth_weights(across, h_max // plane.h),
            table,
        )
        for channel, (plane, table) in enumerate(zip(planes, quantization, strict=True))
    ]
