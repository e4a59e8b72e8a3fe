"""The detector of codes."""

import numpy as np
import zxingcpp

from services.blur_worker.engine.finding.codes.symbologies import label
from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_CONFIDENCE_READ = 1.0
_CONFIDENCE_DAMAGED = 0.6
"""Of a code that is recognised but cannot be read: blurred, cut, or with a wrong checksum."""


class CodeDetector:
    """Finds codes of all symbologies that zxing-cpp reads."""

    min_confidence = 0.5
    padding = 0.05

    def __init__(self, model: FindModel) -> None:
        self._model = model

    @property
    def model(self) -> FindModel:
        """Which model it is."""
        return self._model

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return the codes in the image, the box of each around all of its bars or cells."""
        min_confidence = self.min_confidence if find.min_confidence is None else find.min_confidence
        height, width = pixels.shape[:2]
        view = zxingcpp.ImageView(pixels, width, height, zxingcpp.ImageFormat.RGB)
        found = zxingcpp.read_barcodes(
            view,
            try_rotate=effort is not Effort.FAST,
            try_downscale=True,
            return_errors=min_confidence <= _CONFIDENCE_DAMAGED,
        )
        return [_detection(code, width, height) for code in found]


def _detection(code: zxingcpp.Barcode, width: int, height: int) -> Detection:
    position = code.position
    corners = [position.top_left, position.top_right, position.bottom_right, position.bottom_left]
    xs, ys = np.array([corner.x for corner in corners]), np.array([corner.y for corner in corners])
    return Detection(
        left=float(max(xs.min(), 0)),
        top=float(max(ys.min(), 0)),
        right=float(min(xs.max() + 1, width)),
        bottom=float(min(ys.max() + 1, height)),
        confidence=_CONFIDENCE_READ if code.valid else _CONFIDENCE_DAMAGED,
        label=label(code.format.name, code.symbology.name),
    )
