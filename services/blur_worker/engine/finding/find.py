"""Find something in the frames of an image, and make regions of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from services.blur_worker.engine.finding.detector import Detection, Detector
from services.blur_worker.engine.finding.rgb import to_rgb
from services.blur_worker.engine.outlines import contains
from services.blur_worker.engine.raster import Raster, Size
from services.common.domain.findings import Finding, Rect
from services.common.domain.spec import Effort, Find, FindingKind, Region

MAX_FINDINGS = 1000
"""In an image. The least confident ones beyond are reported, and hidden, as one box around all of them."""
_SAME_OVERLAP = 0.7
"""Intersection over union from which findings of the same kind in different frames are one."""


class DetectorSource(Protocol):
    """Where detectors come from: `finding.registry.Detectors`."""

    def load(self, find: Find) -> Detector:
        """Return the detector for something to find.

        Raises:
            DetectorMissing: It is not installed here.
        """


def find_in(rasters: Iterable[Raster], finds: Sequence[Find], effort: Effort, source: DetectorSource) -> list[Finding]:
    """Return what is in any of the frames or pages, from the most to the least confident; none of it is applied.

    Every frame is looked at, except one that is equal to the frame before. A finding has no frame: it is
    hidden in all of them.

    Raises:
        DetectorMissing: A detector is not installed here.
        MemoryError: The process reached its memory limit.
    """
    detectors = [(find, source.load(find)) for find in finds]
    found: list[Finding] = []
    before: Raster | None = None
    for raster in rasters:
        if before is not None and _equal(raster, before):
            continue
        pixels = to_rgb(raster)
        for find, detector in detectors:
            for detection in detector.detect(pixels, find, effort):
                _add(found, _finding(detection, find, detector, raster.size), merge=before is not None)
        found = _bounded(found)
        before = raster
    return by_confidence(found)


def by_confidence(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings from the most to the least confident."""
    return sorted(findings, key=lambda finding: (-finding.confidence, finding.kind, *_corners(finding.box)))


def center_lies_in(box: Rect, region: Region, size: Size) -> bool:
    """Return whether the centre of a box lies in a region's outline, without its padding and feather.

    Args:
        box: In fractions of the image.
        region: As drawn.
        size: Of the displayed image in pixels.
    """
    return contains(region, (box.left + box.width / 2, box.top + box.height / 2), size)


def overlap(one: Rect, other: Rect) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def region_of(box: Rect, find: Find, padding: float, size: Size) -> Region:
    """Return the region that hides a box: padded by a fraction of its shorter side in pixels, clipped to the image."""
    width, height = size
    margin = padding * min(box.width * width, box.height * height)
    grown = _clipped(
        box.left * width - margin,
        box.top * height - margin,
        (box.left + box.width) * width + margin,
        (box.top + box.height) * height + margin,
        size,
    )
    shape = find.shape or ("ellipse" if find.kind is FindingKind.FACE else "box")
    return Region(shape, grown.left, grown.top, grown.width, grown.height)


def _finding(detection: Detection, find: Find, detector: Detector, size: Size) -> Finding:
    model = detector.model
    padding = detector.padding if find.padding is None else find.padding
    box = _clipped(detection.left, detection.top, detection.right, detection.bottom, size)
    return Finding(
        kind=find.kind,
        label=detection.label,
        confidence=min(max(float(detection.confidence), 0.0), 1.0),
        box=box,
        region=region_of(box, find, padding, size),
        model=model.name,
        model_version=model.version,
    )


def _clipped(left: float, top: float, right: float, bottom: float, size: Size) -> Rect:
    """Return a box in pixels as fractions of the image, inside of it and at least a pixel wide and high."""
    width, height = size
    left, top = min(max(float(left), 0.0), width - 1.0), min(max(float(top), 0.0), height - 1.0)
    right, bottom = min(max(float(right), left + 1), width), min(max(float(bottom), top + 1), height)
    return Rect(left=left / width, top=top / height, width=(right - left) / width, height=(bottom - top) / height)


def _add(found: list[Finding], finding: Finding, *, merge: bool) -> None:
    """Append a finding; with `merge`, what another frame has at the same place grows instead, if there are not many."""
    for index, other in enumerate(found if merge and len(found) < MAX_FINDINGS else ()):
        if _identity(other) == _identity(finding) and overlap(other.box, finding.box) >= _SAME_OVERLAP:
            found[index] = _around([other, finding])
            return
    found.append(finding)


def _identity(finding: Finding) -> tuple[FindingKind, str, str]:
    return finding.kind, finding.label, finding.model


def _around(findings: Sequence[Finding]) -> Finding:
    """Return the most confident finding, grown to include all others."""
    best = max(findings, key=lambda finding: finding.confidence)
    regions = [finding.region for finding in findings]
    hull = _hull([Rect(left=each.left, top=each.top, width=each.width, height=each.height) for each in regions])
    # The ellipse inscribed in a box around ellipses does not include them.
    shape = best.region.shape if len(set(regions)) == 1 else "box"
    region = Region(shape, hull.left, hull.top, hull.width, hull.height)
    return replace(best, box=_hull([finding.box for finding in findings]), region=region)


def _hull(boxes: Sequence[Rect]) -> Rect:
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.left + box.width for box in boxes), max(box.top + box.height for box in boxes)
    return Rect(left=left, top=top, width=min(right, 1.0) - left, height=min(bottom, 1.0) - top)


def _bounded(found: list[Finding]) -> list[Finding]:
    if len(found) <= MAX_FINDINGS:
        return found
    ordered = by_confidence(found)
    return [*ordered[: MAX_FINDINGS - 1], replace(_around(ordered[MAX_FINDINGS - 1 :]), label="")]


def _corners(box: Rect) -> tuple[float, float, float, float]:
    return box.left, box.top, box.width, box.height


def _equal(one: Raster, other: Raster) -> bool:
    return one.mode == other.mode and np.array_equal(one.samples, other.samples)
