"""Which findings are hidden, and how strongly."""

import math
from collections.abc import Sequence
from dataclasses import replace

from services.blur_worker.engine.effects.strength import at_least
from services.blur_worker.engine.finding.find import by_confidence, center_lies_in, overlap
from services.blur_worker.engine.raster import Size
from services.common.domain.findings import Finding
from services.common.domain.spec import (
    MAX_CELL_PX,
    MAX_SIGMA_PX,
    BlurSpec,
    Effect,
    FindingKind,
    Gaussian,
    Pixelate,
    Redact,
    Region,
    Solid,
)

_FACE_PARTS = 4
"""A face is never hidden by less than a Gaussian whose sigma is this part of its height, or cells of that size."""
_SAME_OVERLAP = 0.3
"""Intersection over union from which a finding in the result is one of the original's."""


def apply_findings(findings: Sequence[Finding], spec: BlurSpec, size: Size) -> list[Finding]:
    """Return the findings, those applied that are not left out, each with its effect where it is not the spec's.

    Args:
        findings: Of the original.
        spec: With `invert_regions`, those that are applied are what stays visible.
        size: Of the displayed image in pixels.
    """
    return [
        finding if is_left_out(finding, spec, (), size) else _applied(finding, spec, _effect(finding, spec, size))
        for finding in findings
    ]


def is_left_out(finding: Finding, spec: BlurSpec, found: Sequence[Finding], size: Size) -> bool:
    """Return whether a finding is not to be hidden.

    Args:
        finding: Of the original or of the result.
        spec: Its `exclude_regions` are left out.
        found: Findings of the original: those that are not applied are left out wherever they are found again.
        size: Of the displayed image in pixels.
    """
    return any(center_lies_in(finding.box, region, size) for region in spec.exclude_regions) or any(
        not other.applied and other.kind is finding.kind and overlap(other.box, finding.box) >= _SAME_OVERLAP
        for other in found
    )


def strengthened(
    found: Sequence[Finding], remaining: Sequence[Finding], spec: BlurSpec, size: Size, *, last: bool
) -> list[Finding]:
    """Return the findings, those in which something remains hidden more strongly: redacted, or already that, solid.

    Args:
        found: Findings of the original, as hidden so far.
        remaining: Findings of the result. One that lies in none of `found` was missed at first, and is added.
        spec: The spec.
        size: Of the displayed image in pixels.
        last: Whether there is no further look: all become solid, and what sticks out of its region is added too.
    """
    solid = spec.effect if isinstance(spec.effect, Solid) else Solid()
    result = list(found)
    for again in remaining:
        covered = False
        for index, finding in enumerate(found):
            if finding.applied and center_lies_in(again.box, finding.region, size):
                effect = finding.region.effect or spec.effect
                fill = last or effect.irreversible
                result[index] = _applied(finding, spec, solid if fill else Redact())
                covered |= _covers(finding.region, again.region)
        if not covered and (last or not _lies_in_any(again, found, size)):
            fill = last or isinstance(spec.effect, Solid)
            result.append(_applied(again, spec, solid if fill else Redact()))
    return by_confidence(result)


def _applied(finding: Finding, spec: BlurSpec, effect: Effect) -> Finding:
    region = replace(finding.region, effect=None if effect == spec.effect else effect)
    return replace(finding, region=region, applied=True)


def _effect(finding: Finding, spec: BlurSpec, size: Size) -> Effect:
    """Return the spec's effect, or a stronger one of its kind if it is too weak for a face."""
    if finding.kind is not FindingKind.FACE or spec.invert_regions:
        return spec.effect
    part = finding.box.height * size[1] / _FACE_PARTS
    match spec.effect:
        case Gaussian():
            sigma = min(part, max(MAX_SIGMA_PX, min(size)))  # beyond that, a spec cannot have it
            relative = sigma > MAX_SIGMA_PX
            return at_least(spec.effect, Gaussian(sigma / min(size) if relative else sigma, relative), size)
        case Pixelate():
            return at_least(spec.effect, Pixelate(min(max(math.ceil(part), 2), MAX_CELL_PX)), size)
        case Solid() | Redact():
            return spec.effect


def _lies_in_any(again: Finding, found: Sequence[Finding], size: Size) -> bool:
    return any(finding.applied and center_lies_in(again.box, finding.region, size) for finding in found)


def _covers(region: Region, other: Region) -> bool:
    """Return whether the box around one region includes the box around the other."""
    return (
        region.left <= other.left
        and region.top <= other.top
        and region.left + region.width >= other.left + other.width
        and region.top + region.height >= other.top + other.height
    )
