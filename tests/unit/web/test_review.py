"""Doubts about results, and the specs that follow from corrections."""

import pytest
from imageblur.v1.order_pb2 import (
    BlurSpec,
    Check,
    CheckState,
    Failure,
    Find,
    Finding,
    FindingKind,
    Image,
    ImageState,
    Point,
    Polygon,
    Rect,
    Region,
)

from services.web.orders.review.corrections import BadCorrection, Correction, corrected
from services.web.orders.review.doubts import Doubt, doubts_of, order_by_doubt

FACE, TEXT = FindingKind.FINDING_KIND_FACE, FindingKind.FINDING_KIND_TEXT
FACES = BlurSpec(find=[Find(kind=FACE)])
CLEAN, REMAINING = CheckState.CHECK_STATE_CLEAN, CheckState.CHECK_STATE_REMAINING


def finding(
    left: float, top: float, width: float = 0.1, *, kind: FindingKind.ValueType = FACE, confidence: float = 0.9
) -> Finding:
    box = Rect(left=left, top=top, width=width, height=width)
    return Finding(kind=kind, confidence=confidence, box=box, region=Region(ellipse=box), applied=True)


def image(
    *findings: Finding, position: int = 1, check: CheckState.ValueType = CLEAN, strengthened: bool = False
) -> Image:
    return Image(
        position=position,
        state=ImageState.IMAGE_STATE_SUCCEEDED,
        findings=findings,
        check=Check(state=check, strengthened=strengthened),
    )


def leave(spec: BlurSpec, of: Image, *, hide: set[int]) -> BlurSpec:
    return corrected(spec, of, Correction(hide=hide, keep=range(len(spec.regions))))


def holds(region: Region, of: Finding) -> bool:
    x, y = of.box.left + of.box.width / 2, of.box.top + of.box.height / 2
    box = region.box
    return box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height


@pytest.mark.parametrize(
    ("looked_at", "expected"),
    [
        (image(finding(0.1, 0.1)), []),
        (image(finding(0.1, 0.1), check=REMAINING, strengthened=True), [Doubt.REMAINING, Doubt.STRENGTHENED]),
        (image(finding(0.1, 0.1, confidence=0.5)), [Doubt.UNSURE]),
        (image(finding(0.1, 0.1, kind=TEXT, confidence=0.58)), [Doubt.UNSURE]),
        (image(), [Doubt.NOTHING]),
        (Image(state=ImageState.IMAGE_STATE_FAILED), [Doubt.FAILED]),
        (Image(state=ImageState.IMAGE_STATE_RUNNING), []),
    ],
)
def test_doubts_have_reasons(looked_at: Image, expected: list[Doubt]) -> None:
    assert doubts_of(looked_at, FACES) == expected


def test_a_threshold_of_the_order_moves_what_is_unsure() -> None:
    high = BlurSpec(find=[Find(kind=FACE, min_confidence=0.85)])
    looked_at = image(finding(0.1, 0.1))
    assert doubts_of(looked_at, high) == [Doubt.UNSURE]
    looked_at.spec.CopyFrom(FACES)  # its own
    assert doubts_of(looked_at, high) == []


def test_what_was_left_raises_no_doubt() -> None:
    left = finding(0.1, 0.1, confidence=0.4)
    left.applied = False
    assert doubts_of(image(left), FACES) == []


def test_a_correction_that_failed_is_a_doubt() -> None:
    looked_at = image(finding(0.1, 0.1))
    looked_at.failure.CopyFrom(Failure(message="no room"))
    assert doubts_of(looked_at, FACES) == [Doubt.NOT_REVISED]


def test_the_most_serious_come_first_and_those_alike_by_position() -> None:
    images = [image(position=position) for position in range(1, 6)]
    doubts = [[], [Doubt.NOTHING], [Doubt.STRENGTHENED, Doubt.UNSURE], [], [Doubt.REMAINING]]
    ordered = order_by_doubt(zip(images, doubts, strict=True))
    assert [each.position for each, _ in ordered] == [5, 3, 2, 1, 4]


def test_what_is_left_is_excluded_and_the_rest_of_the_spec_stays() -> None:
    first, second = finding(0.1, 0.1), finding(0.6, 0.6)
    spec = BlurSpec(find=FACES.find, quality=80, keep_metadata=True)
    result = leave(spec, image(first, second), hide={1})
    (excluded,) = result.exclude_regions
    assert holds(excluded, first)
    assert not holds(excluded, second)
    assert (result.quality, result.keep_metadata, result.find) == (80, True, spec.find)


def test_findings_with_nearly_the_same_centre_are_told_apart() -> None:
    face, patch = finding(0.4, 0.4, 0.2), finding(0.495, 0.495, 0.02)
    result = leave(FACES, image(face, patch), hide={1})
    assert [holds(region, patch) for region in result.exclude_regions] == [False]
    assert holds(result.exclude_regions[0], face)


@pytest.mark.parametrize(
    "shape",
    [
        Region(box=Rect(left=0, top=0, width=1, height=1)),
        Region(ellipse=Rect(left=0, top=0, width=1, height=1)),
        Region(polygon=Polygon(points=[Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))])),
    ],
)
def test_hidden_again_is_only_what_a_person_chooses(shape: Region) -> None:
    """The other finding, which the same region excluded, stays left."""
    first, second = finding(0.3, 0.3), finding(0.6, 0.6)
    for each in (first, second):
        each.applied = False
    spec = BlurSpec(find=FACES.find, exclude_regions=[shape])
    result = leave(spec, image(first, second), hide={0})
    assert not any(holds(region, first) for region in result.exclude_regions)
    assert any(holds(region, second) for region in result.exclude_regions)


def test_regions_are_kept_removed_and_added() -> None:
    regions = [Region(box=Rect(left=number / 10, top=0, width=0.1, height=0.1), padding=0.01) for number in range(3)]
    spec, added = BlurSpec(regions=regions), Region(ellipse=Rect(left=0.5, top=0.5, width=0.2, height=0.2))
    result = corrected(spec, image(), Correction(hide=(), keep={0, 2}, add=[added]))
    assert list(result.regions) == [regions[0], regions[2], added]


@pytest.mark.parametrize("spec", [BlurSpec(), BlurSpec(regions=[Region(box=Rect(width=0.5, height=0.5))])])
def test_the_whole_image_is_never_blurred_because_nothing_is_left(spec: BlurSpec) -> None:
    with pytest.raises(BadCorrection, match="nothing_to_hide"):
        corrected(spec, image(), Correction(hide=(), keep=()))


def test_an_area_does_not_uncover_an_image_that_is_blurred_as_a_whole() -> None:
    added = Region(box=Rect(width=0.5, height=0.5))
    with pytest.raises(BadCorrection, match="nothing_to_hide"):
        corrected(BlurSpec(), image(), Correction(hide=(), keep=(), add=[added]))


def test_hundreds_of_findings_can_be_left_all_together() -> None:
    many = image(*(finding(0.009 * number, 0.5, 0.005) for number in range(110)))
    (everything,) = leave(FACES, many, hide=set()).exclude_regions
    assert everything.box == Rect(left=0, top=0, width=1, height=1)
    with pytest.raises(BadCorrection, match="too_many_left"):
        leave(FACES, many, hide={0})
