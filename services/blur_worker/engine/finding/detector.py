"""What a detector is: it searches the pixels of an image as displayed, and returns where something is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

RgbPixels = NDArray[np.uint8]
"""Shape (height, width, 3), contiguous: red, green, blue; alpha blended over white, 16 bits reduced to 8."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Something that a detector has seen."""

    left: float
    """In pixels of the image, like the other three; inside the image."""
    top: float
    right: float
    bottom: float
    confidence: float
    """0 to 1."""
    label: str = ""
    """Class of a text or of a custom model's finding."""


class Detector(Protocol):
    """A loaded model. One thread; no state between calls."""

    @property
    def model(self) -> FindModel:
        """Which model it is."""

    @property
    def min_confidence(self) -> float:
        """Confidence below which detections are ignored, unless a `Find` sets another limit."""

    @property
    def padding(self) -> float:
        """How far a region extends beyond what was found, as a fraction of the shorter side of the box."""

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return what is in the image, at or above the confidence that `find` or the model asks for.

        Raises:
            MemoryError: The process reached its memory limit.
        """
