"""Planes in which every block has one colour, as the chroma of black text: less is to be blurred of them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.jpeg.transform.dct_gaussian import Detail, axis_gaussian
from services.blur_worker.engine.jpeg.transform.planes import CoefficientPlane

_NOTHING = 0.5
"""Coefficients are multiples of 1, but those of blocks that were fitted at the border."""
_FEW_ROWS = 16
"""Step between the rows of blocks that are checked first."""
_DC_ONLY = Detail(1, 1)


def without_detail(plane: CoefficientPlane) -> CoefficientPlane:
    """Return the decoded plane with no more than its DC coefficients if it has no others, and else as it is."""
    if plane.x.together > 1 or plane.y.together > 1 or plane.x.kept == plane.y.kept == 1:
        return plane
    values = plane.values.reshape(plane.rows, plane.y.kept, plane.x.kept, plane.columns)
    if _has_detail(values[::_FEW_ROWS]) or _has_detail(values):
        return plane
    steps = plane.orientation
    lead_x, lead_y = -plane.width % 8 * steps.flipped_x, -plane.height % 8 * steps.flipped_y
    return replace(
        plane,
        x=axis_gaussian(plane.width, plane.sigmas[0], lead_x, _DC_ONLY),
        y=axis_gaussian(plane.height, plane.sigmas[1], lead_y, _DC_ONLY),
        values=np.ascontiguousarray(values[:, :1, 0]),
    )


def _has_detail(values: NDArray[np.float32]) -> bool:
    """Whether there are AC coefficients in (rows, kept down, kept across, columns)."""
    parts = (values[:, 1:], values[:, :1, 1:])
    return any(part.size and (part.max() > _NOTHING or part.min() < -_NOTHING) for part in parts)
