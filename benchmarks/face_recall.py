"""Compare what was found with what is there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.face_pictures import Box, Picture
from services.blur_worker.engine.finding.detector import Detection

HEIGHTS = ((16, 24), (24, 32), (32, 48), (48, 100_000))
"""Classes of faces by height in pixels: from, below."""
MIN_OVERLAP = 0.4
"""Intersection over union from which a box has found a face."""


@dataclass(kw_only=True)
class RecallScore:
    """Counts over pictures."""

    faces: dict[tuple[int, int], int] = field(default_factory=lambda: dict.fromkeys(HEIGHTS, 0))
    found: dict[tuple[int, int], int] = field(default_factory=lambda: dict.fromkeys(HEIGHTS, 0))
    false: int = 0
    megapixels: float = 0.0

    def add(self, picture: Picture, detections: Sequence[Detection]) -> None:
        """Count a picture."""
        boxes = [(one.left, one.top, one.right, one.bottom) for one in detections]
        pairs = sorted(
            ((overlap(box, face), i, j) for i, box in enumerate(boxes) for j, face in enumerate(picture.faces)),
            reverse=True,
        )
        used: set[int] = set()
        found: set[int] = set()
        for shared, i, j in pairs:
            if shared >= MIN_OVERLAP and i not in used and j not in found:
                used.add(i)
                found.add(j)
        for j, face in enumerate(picture.faces):
            for low, high in HEIGHTS:
                if low <= face[3] - face[1] < high:
                    self.faces[low, high] += 1
                    self.found[low, high] += j in found
        known = [*picture.faces, *picture.ignored]
        self.false += sum(not any(overlap(box, place) for place in known) for box in boxes)
        self.megapixels += picture.megapixels

    def recall(self, low: int, high: int) -> float | None:
        """Return the share of faces of a height that were found, None if there are none."""
        bins = [one for one in HEIGHTS if low <= one[0] and one[1] <= high]
        faces = sum(self.faces[one] for one in bins)
        return sum(self.found[one] for one in bins) / faces if faces else None

    def values(self) -> dict[str, float | None]:
        """Return recalls by height and false boxes per megapixel."""
        return {
            "16-24": self.recall(16, 24),
            "24-32": self.recall(24, 32),
            "24-48": self.recall(24, 48),
            ">=24": self.recall(24, 100_000),
            ">=32": self.recall(32, 100_000),
            ">=48": self.recall(48, 100_000),
            "faces": sum(self.faces.values()),
            "false_per_megapixel": self.false / self.megapixels if self.megapixels else None,
        }


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
