"""What findings hide of planted things, and what else."""

import time
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from services.blur_worker.engine.finding.detector import Detection

COVERED = 0.98
"""Part of the ink that must be hidden."""


def hidden(shape: tuple[int, ...], detections: Iterable[Detection], padding: float) -> NDArray[np.bool_]:
    """Return which pixels the boxes with their padding hide; shape (height, width)."""
    mask = np.zeros(shape[:2], np.bool_)
    for one in detections:
        margin = padding * min(one.right - one.left, one.bottom - one.top)
        top, left = max(int(one.top - margin), 0), max(int(one.left - margin), 0)
        mask[top : int(np.ceil(one.bottom + margin)), left : int(np.ceil(one.right + margin))] = True
    return mask


def outside(mask: NDArray[np.bool_], boxes: Iterable[tuple[int, int, int, int]]) -> float:
    """Return which part of the picture is hidden outside all boxes (left, top, right, bottom)."""
    rest = mask.copy()
    for left, top, right, bottom in boxes:
        rest[top:bottom, left:right] = False
    return float(rest.mean())


class Tally:
    """Counts of what was covered, by any criteria."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))

    def add(self, covered: bool, **criteria: object) -> None:
        """Count one planted thing under each criterion."""
        for criterion, value in criteria.items():
            self._counts[criterion][str(value)].append(covered)

    def __str__(self) -> str:
        lines = []
        for criterion, values in self._counts.items():
            shares = (
                f"{value} {100 * sum(found) / len(found):.1f} % of {len(found)}" for value, found in values.items()
            )
            lines.append(f"  by {criterion}: {', '.join(shares)}")
        return "\n".join(lines)


class Clock:
    """Processor time of finding against that of Pillow's Gaussian blur of the same pictures, one after the other."""

    def __init__(self) -> None:
        self.finding = 0.0
        self.blurring = 0.0
        self.megapixels = 0.0

    def blur(self, pixels: NDArray[np.uint8]) -> None:
        """Measure the blur of a picture."""
        image = Image.fromarray(pixels)
        begin = time.process_time()
        image.filter(ImageFilter.GaussianBlur(5))
        self.blurring += time.process_time() - begin
        self.megapixels += pixels.shape[0] * pixels.shape[1] / 1e6

    def __str__(self) -> str:
        return (
            f"  {self.finding / self.megapixels:.3f} s of the processor per megapixel, "
            f"{self.finding / self.blurring:.1f} times Pillow's GaussianBlur(5)"
        )
