"""What a person has changed about an image, and the spec that follows from it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from imageblur.v1.order_pb2 import BlurSpec, Finding, Image, Rect, Region

_PART, _TINY_PART = 0.1, 0.01
"""How much of a finding's box, around its centre, is excluded, as by the order form; less beside another centre."""


MAX_REGIONS = 100
"""Most regions that a spec may exclude."""
_SIMPLE = {"box", "ellipse"}


class BadCorrection(ValueError):
    """A correction that would not do what it promises; `key` is that of the text, `problem_<key>`."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is to be hidden in an image from now on."""

    hide: Collection[int]
    """Indices of the findings to hide; the others are left."""
    keep: Collection[int]
    """Indices of the spec's regions that stay."""
    add: Sequence[Region] = ()


def hides_whole_image(spec: BlurSpec) -> bool:
    """Return whether a spec blurs the whole image, so that there is nothing to choose in it."""
    return not spec.find and not spec.regions


def corrected(spec: BlurSpec, image: Image, correction: Correction) -> BlurSpec:
    """Return the spec of an image after a correction.

    What is found is found again: findings that are left are excluded by a small region around their centre. So the
    result is checked, and what was left can be hidden again later.

    Raises:
        BadCorrection: Nothing would be left to hide, and without regions the whole image would be blurred; or more is
            left than a spec can exclude.
    """
    result = BlurSpec()
    result.CopyFrom(spec)
    del result.regions[:]
    result.regions.extend(region for index, region in enumerate(spec.regions) if index in correction.keep)
    result.regions.extend(correction.add)
    if hides_whole_image(result) or hides_whole_image(spec):
        raise BadCorrection("nothing_to_hide")
    hidden = [finding for index, finding in enumerate(image.findings) if index in correction.hide]
    left = [finding for index, finding in enumerate(image.findings) if index not in correction.hide]
    # An exclusion ends where something is to be hidden again.
    kept = [region for region in spec.exclude_regions if not any(_excludes(region, each) for each in hidden)]
    for finding in left:
        if not any(_center_in(region, finding) for region in kept):
            kept.append(_exclusion(finding, hidden))
    if len(kept) > MAX_REGIONS:
        if hidden:
            raise BadCorrection("too_many_left")
        kept = [Region(box=Rect(left=0, top=0, width=1, height=1))]
    del result.exclude_regions[:]
    result.exclude_regions.extend(kept)
    return result


def _exclusion(finding: Finding, hidden: Sequence[Finding]) -> Region:
    region = _around_center(finding, _PART)
    if any(_center_in(region, other) for other in hidden):
        region = _around_center(finding, _TINY_PART)
    return region


def _around_center(finding: Finding, part: float) -> Region:
    box, rest = finding.box, (1 - part) / 2
    return Region(
        box=Rect(
            left=box.left + rest * box.width,
            top=box.top + rest * box.height,
            width=part * box.width,
            height=part * box.height,
        )
    )


def _excludes(region: Region, finding: Finding) -> bool:
    """Return whether a finding may be left because of this region."""
    return _center_in(region, finding) or (not finding.applied and region.WhichOneof("shape") not in _SIMPLE)


def _center_in(region: Region, finding: Finding) -> bool:
    """Return whether the centre of a finding lies in a box or an ellipse; false for other shapes."""
    kind = region.WhichOneof("shape")
    if kind not in _SIMPLE:
        return False
    box = region.box if kind == "box" else region.ellipse
    x, y = finding.box.left + finding.box.width / 2, finding.box.top + finding.box.height / 2
    if kind == "box":
        return box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height
    across, down = (x - box.left) / box.width * 2 - 1, (y - box.top) / box.height * 2 - 1
    return across**2 + down**2 <= 1
