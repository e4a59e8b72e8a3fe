"""Why a person should look at a result."""

from collections.abc import Iterable
from enum import IntEnum

from imageblur.v1.order_pb2 import BlurSpec, CheckState, Finding, FindingKind, Image, ImageState


class Doubt(IntEnum):
    """Reasons, the most serious first; `review_doubt_<name>` is the text."""

    REMAINING = 1
    """Something is still found in the result."""
    FAILED = 2
    """There is no result."""
    NOT_REVISED = 3
    """The last correction failed, and the former result stayed."""
    STRENGTHENED = 4
    """Something was still found, so it was hidden more strongly than asked for."""
    UNSURE = 5
    """A finding is hardly above the threshold: it may be none, and others may lie just below."""
    NOTHING = 6
    """Something was to be found, and nothing was."""

    @property
    def key(self) -> str:
        """Its name in texts and styles."""
        return self.name.lower()


_UNSURE_BELOW = {
    FindingKind.FINDING_KIND_FACE: 0.55,
    FindingKind.FINDING_KIND_TEXT: 0.6,
    FindingKind.FINDING_KIND_CODE: 0.6,
    FindingKind.FINDING_KIND_CUSTOM: 0.45,
}
"""Confidences of findings that a person should look at: a little above the thresholds of the models."""
_MARGIN = 0.1
"""Above a threshold that the order names."""


_NO_SPEC = BlurSpec()


def doubts_of(image: Image, order_spec: BlurSpec = _NO_SPEC) -> list[Doubt]:
    """Return the doubts about an image, the most serious first; none if it has not ended.

    Args:
        image: With its own spec.
        order_spec: Of images without their own; without it, nothing is known of thresholds and of what was to be found.
    """
    spec = image.spec if image.HasField("spec") else order_spec
    doubts: list[Doubt] = []
    if image.state == ImageState.IMAGE_STATE_FAILED:
        return [Doubt.FAILED]
    if image.state != ImageState.IMAGE_STATE_SUCCEEDED:
        return []
    if image.check.state == CheckState.CHECK_STATE_REMAINING:
        doubts.append(Doubt.REMAINING)
    if image.HasField("failure"):
        doubts.append(Doubt.NOT_REVISED)
    if image.check.strengthened:
        doubts.append(Doubt.STRENGTHENED)
    if any(is_unsure(finding, spec) for finding in image.findings if finding.applied):
        doubts.append(Doubt.UNSURE)
    if spec.find and not image.findings and not spec.regions:
        doubts.append(Doubt.NOTHING)
    return doubts


def is_unsure(finding: Finding, spec: BlurSpec) -> bool:
    """Return whether a finding is hardly above its threshold."""
    named = [find.min_confidence for find in spec.find if find.kind == finding.kind and find.HasField("min_confidence")]
    below = min(named) + _MARGIN if named else _UNSURE_BELOW.get(finding.kind, 0.0)
    return finding.confidence < below


def order_by_doubt(images: Iterable[tuple[Image, list[Doubt]]]) -> list[tuple[Image, list[Doubt]]]:
    """Return images with their doubts: the most serious first, those without doubts last, else by position."""
    return sorted(images, key=lambda pair: (min(pair[1], default=len(Doubt) + 1), pair[0].position))
