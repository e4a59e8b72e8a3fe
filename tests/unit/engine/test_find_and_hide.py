"""Finding, hiding what was found, and the check, with detectors that need no model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine import Blurred, blur, find_regions
from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.find import MAX_FINDINGS
from services.blur_worker.engine.images import DecodedImage
from services.blur_worker.engine.jpeg import splice
from services.common.domain.findings import CheckState, Inspection
from services.common.domain.spec import (
    BlurSpec,
    Effect,
    Effort,
    Find,
    FindingKind,
    Format,
    Gaussian,
    Pixelate,
    Redact,
    Region,
    Solid,
    Stroke,
)
from tests.support.detectors import MARK, OTHER_MARK, MarkDetector, OneDetector, ScriptedDetector, draw_mark
from tests.support.images import encode, encode_frames, opened, oriented, photo, samples
from tests.unit.engine.jpeg.jpeg_planes import stored
from tests.unit.engine.running import FORMATS, LIMITS

FACES = (Find(kind=FindingKind.FACE),)
EFFECTS = [Redact(), Gaussian(3), Pixelate(4), Solid("#336699"), Gaussian(0.02, relative=True)]
LEFT_MARK = (16, 16, 32, 32)
RIGHT_MARK = (64, 24, 80, 44)


def marked(image: Image.Image | None = None, *boxes: tuple[int, int, int, int]) -> Image.Image:
    result = (image or photo()).copy()
    for box in boxes or (LEFT_MARK, RIGHT_MARK):
        draw_mark(result, box)
    return result


def find(data: bytes, effect: Effect | None = None, detector: MarkDetector | None = None, **fields: Any) -> Blurred:
    spec = BlurSpec(effect or Redact(), **{"find": FACES} | fields)
    return blur(data, spec, LIMITS, OneDetector(detector))


def given_back(result: Blurred, effect: Effect, **fields: Any) -> BlurSpec:
    """The spec with the findings as regions, as a client would send it."""
    regions = tuple(finding.region for finding in result.inspection.findings if finding.applied)
    return BlurSpec(effect, regions=fields.pop("regions", ()) + regions, **fields)


FILES = {
    "jpeg": lambda: encode(marked(), "JPEG", quality=95, subsampling="4:4:4"),
    "jpeg-420-turned": lambda: encode(marked(), "JPEG", quality=95, exif=oriented(6)),
    "jpeg-rgb": lambda: encode(marked(), "JPEG", quality=95, keep_rgb=True),
    "jpeg-progressive": lambda: encode(marked(), "JPEG", quality=95, progressive=True),
    "jpeg-cmyk": lambda: encode(marked().convert("CMYK"), "JPEG", quality=95),
    "png": lambda: encode(marked(), "PNG"),
    "png-alpha": lambda: encode(marked(photo().convert("RGBA")), "PNG"),
    "webp": lambda: encode(marked(), "WEBP", lossless=True),
    "webp-lossy": lambda: encode(marked(), "WEBP", quality=95),
    "gif": lambda: encode(marked().quantize(200), "GIF"),
    "tiff": lambda: encode(marked(), "TIFF"),
    "tiff-cmyk": lambda: encode(marked().convert("CMYK"), "TIFF"),
    "tiff-pages": lambda: encode_frames([marked(None, LEFT_MARK), marked(photo(90, 70), RIGHT_MARK)], "TIFF"),
    "bmp": lambda: encode(marked(), "BMP"),
    "avif": lambda: encode(marked(), "AVIF", quality=95),
    "gif-animated": lambda: encode_frames([marked(None, LEFT_MARK), marked(None, RIGHT_MARK)], "GIF", duration=50),
    "png-animated": lambda: encode_frames([marked(None, LEFT_MARK), marked(None, RIGHT_MARK)], "PNG", duration=50),
}


@pytest.mark.parametrize("effect", EFFECTS, ids=str)
@pytest.mark.parametrize("name", FILES)
def test_what_is_found_is_hidden_and_given_back_hides_the_same(name: str, effect: Effect) -> None:
    data = FILES[name]()
    result = find(data, effect)
    inspection = result.inspection
    assert inspection.check.state is CheckState.CLEAN
    assert len(inspection.findings) == 2
    assert all(finding.applied for finding in inspection.findings)
    assert not find_regions(result.data, BlurSpec(find=FACES), LIMITS, OneDetector()).findings
    again = blur(data, given_back(result, effect), LIMITS)
    assert again.data == result.data
    assert Inspection.from_json(inspection.to_json()) == inspection


def test_found_where_it_is_displayed() -> None:
    data = encode(marked(), "JPEG", quality=95, exif=oriented(6))
    found = find_regions(data, BlurSpec(find=FACES), LIMITS, OneDetector())
    assert (found.width, found.height) == (64, 96)
    first, second = found.findings
    # Turned clockwise: the left of the file is the top.
    assert (first.box.top, second.box.top) == pytest.approx((64 / 96, 16 / 96), abs=0.02)
    assert (first.box.left, second.box.left) == pytest.approx((20 / 64, 32 / 64), abs=0.02)
    assert not first.applied
    assert first.region.shape == "ellipse"


def test_padding_and_shape() -> None:
    data = encode(marked(None, LEFT_MARK), "PNG")
    for padding, grown in ((None, 4), (0.5, 8), (2, 32)):
        finds = (Find(kind=FindingKind.FACE, padding=padding, shape="box"),)
        ((finding,)) = find_regions(data, BlurSpec(find=finds), LIMITS, OneDetector()).findings
        left, top = max(16 - grown, 0), max(16 - grown, 0)
        right, bottom = min(32 + grown, 96), min(32 + grown, 64)
        region = finding.region
        assert region.shape == "box"
        edges = (
            region.left * 96,
            region.top * 64,
            (region.left + region.width) * 96,
            (region.top + region.height) * 64,
        )
        assert edges == pytest.approx((left, top, right, bottom))


@pytest.mark.parametrize("name", FILES)
def test_nothing_found_changes_nothing(name: str) -> None:
    data = FILES[name]()
    nothing = ScriptedDetector(lambda _pixels, _call: [])
    result = find(data, Solid(), nothing)
    assert result.inspection == Inspection(check=replace(result.inspection.check, state=CheckState.CLEAN))
    assert nothing.calls <= 2  # pages
    before, after = (samples(opened(each).convert("RGB")) for each in (data, result.data))
    if name == "jpeg-420-turned":
        before = np.rot90(before, -1)
    encoded_anew = name in {"webp-lossy", "avif", "jpeg-cmyk", "jpeg-rgb", "jpeg-420-turned"}
    assert np.abs(before - after).mean() <= (8 if encoded_anew else 0)


def test_own_regions_are_hidden_though_nothing_is_found() -> None:
    data = encode(photo(), "PNG")
    region = Region("box", 0, 0, 0.5, 1)
    assert find(data, Solid(), regions=(region,)).data == blur(data, BlurSpec(Solid(), (region,)), LIMITS).data


def test_own_regions_come_with_what_is_found() -> None:
    data = encode(marked(), "JPEG", quality=95)
    own = (Region("box", 0.4, 0, 0.1, 1, effect=Pixelate(8)),)
    result = find(data, Redact(), regions=own)
    assert result.path == "jpeg-splice"
    assert result.data == blur(data, given_back(result, Redact(), regions=own), LIMITS).data


@pytest.mark.parametrize("effect", EFFECTS, ids=str)
def test_blocks_of_a_jpeg_in_which_nothing_is_found_stay(effect: Effect) -> None:
    data = encode(marked(None, LEFT_MARK), "JPEG", quality=95, subsampling="4:2:0")
    result = find(data, effect)
    assert (result.path, len(result.inspection.findings)) == ("jpeg-splice", 1)
    before, after = stored(data), stored(result.data)
    assert (before[:, 48:] == after[:, 48:]).all()
    assert (before[48:] == after[48:]).all()
    assert (before[16:32, 16:32] != after[16:32, 16:32]).any()


@pytest.mark.parametrize(
    "region",
    [
        Region("box", 0.5, 0, 0.5, 1),
        Region.polygon([(0.5, 0), (1, 0), (1, 1), (0.5, 1)]),
        Region.brush([Stroke(((0.75, 0), (0.75, 1)), 0.2)]),
    ],
    ids=["box", "polygon", "brush"],
)
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_findings_in_excluded_regions_stay_visible(format_: str, region: Region) -> None:
    data = encode(marked(), format_, **({"quality": 95} if format_ == "JPEG" else {}))
    result = find(data, exclude_regions=(region,))
    assert [finding.applied for finding in result.inspection.findings] == [False, True]
    assert result.inspection.check.state is CheckState.CLEAN
    before, after = samples(opened(data)), samples(opened(result.data))
    assert (before[:, 56:] == after[:, 56:]).all()
    assert (before[18:30, 18:30] != after[18:30, 18:30]).any()


def test_inverted_everything_but_what_is_found() -> None:
    data = encode(marked(), "PNG")
    result = find(data, Solid(), invert_regions=True)
    after = samples(opened(result.data))
    assert (after[24:28, 18:30] == MARK).all()
    assert (after[20:24, 21:28] == OTHER_MARK).all()
    assert (after[:8] == 0).all()
    assert result.inspection.check.state is CheckState.NOT_CHECKED
    nothing = find(encode(photo(), "PNG"), Solid(), invert_regions=True)
    assert (samples(opened(nothing.data)) == 0).all()


@pytest.mark.parametrize(("effect", "expected"), [(Gaussian(3), Gaussian(4)), (Pixelate(3), Pixelate(4))])
def test_an_effect_too_weak_for_a_face_is_made_stronger(effect: Effect, expected: Effect) -> None:
    data = encode(photo(), "PNG")
    once = ScriptedDetector(lambda _pixels, call: [box(18, 18, 30, 34)] if call % 2 else [])
    result = find(data, effect, once)
    assert [finding.region.effect for finding in result.inspection.findings] == [expected]
    assert result.data == blur(data, given_back(result, effect), LIMITS).data
    strong = find(data, Gaussian(20), once)
    assert [finding.region.effect for finding in strong.inspection.findings] == [None]


def test_faces_too_large_for_pixels_get_a_relative_gaussian() -> None:
    for width, expected in ((40, Gaussian(500)), (520, Gaussian(515 / 520, relative=True))):
        tall = ScriptedDetector(lambda _pixels, call: [box(4, 10, 24, 2070)] if call == 1 else [])
        ((finding,)) = find(encode(Image.new("L", (width, 2100)), "PNG"), Gaussian(3), tall).inspection.findings
        assert finding.region.effect == expected


def box(left: float, top: float, right: float, bottom: float, confidence: float = 0.9) -> Detection:
    return Detection(left=left, top=top, right=right, bottom=bottom, confidence=confidence)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [(Gaussian(9), [Redact(), Solid()]), (Redact(), [Solid()]), (Pixelate(9), [Redact(), Solid()])],
)
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_what_remains_is_hidden_more_strongly(effect: Effect, expected: list[Effect], format_: str) -> None:
    data = encode(photo(), format_)
    for looks, stronger in enumerate(expected, 2):
        # Until what is found is hidden by this.
        result = find(data, effect, ScriptedDetector(lambda _, call, n=looks: [box(20, 20, 36, 36)] * (call <= n)))  # type: ignore[misc]
        check = result.inspection.check
        assert (check.state, check.strengthened) == (CheckState.CLEAN, True)
        assert [finding.region.effect for finding in result.inspection.findings] == [stronger]
        assert result.data == blur(data, given_back(result, effect), LIMITS).data


def test_what_still_remains_is_reported() -> None:
    detector = ScriptedDetector(lambda _pixels, _call: [box(20, 20, 36, 36)])
    result = find(encode(photo(), "PNG"), Redact(), detector)
    check = result.inspection.check
    assert (check.state, check.strengthened, detector.calls) == (CheckState.REMAINING, True, 3)
    assert [(each.box.left, each.applied) for each in check.remaining] == [(20 / 96, False)]
    assert [finding.region.effect for finding in result.inspection.findings] == [Solid()]


@pytest.mark.parametrize("effect", EFFECTS, ids=str)
def test_what_was_missed_at_first_is_hidden_too(effect: Effect) -> None:
    data = encode(marked(), "PNG")
    script = MarkDetector()

    def first_one_only(pixels: RgbPixels, call: int) -> list[Detection]:
        found = script.detect(pixels, FACES[0], Effort.BALANCED)
        return found[:1] if call == 1 else found

    result = find(data, effect, ScriptedDetector(first_one_only))
    inspection = result.inspection
    assert (inspection.check.state, inspection.check.strengthened) == (CheckState.CLEAN, True)
    assert len(inspection.findings) == 2
    assert not script.detect(np.asarray(opened(result.data)), FACES[0], Effort.BALANCED)
    assert result.data == blur(data, given_back(result, effect), LIMITS).data


def test_an_excluded_finding_that_moves_is_still_excluded() -> None:
    detector = ScriptedDetector(lambda _pixels, call: [box(20, 20, 36, 36), box(59 + call, 20, 76 + call, 36)])
    result = find(encode(photo(), "PNG"), Redact(), detector, exclude_regions=(Region("box", 0.6, 0, 0.115, 1),))
    assert [finding.applied for finding in result.inspection.findings] == [True, False]
    assert [finding.applied for finding in result.inspection.check.remaining] == [False]


def test_more_findings_than_are_counted_are_one() -> None:
    tiny = [box(x, y, x + 1, y + 1, 0.5 + y / 200) for y in range(0, 64, 2) for x in range(0, 96, 2)]
    detector = ScriptedDetector(lambda _pixels, call: tiny if call == 1 else [])
    result = find(encode(photo(), "PNG"), Solid(), detector)
    findings = result.inspection.findings
    assert len(findings) == MAX_FINDINGS
    assert [finding.region.shape for finding in findings].count("box") == 1
    after = samples(opened(result.data))
    assert all((after[int(each.top), int(each.left)] == 0).all() for each in tiny)


def test_a_frame_like_the_one_before_is_not_looked_at() -> None:
    frame = marked()
    data = encode_frames([frame, frame, marked(None, LEFT_MARK)], "PNG", duration=50)
    detector = MarkDetector()
    found = find_regions(data, BlurSpec(find=FACES), LIMITS, OneDetector(detector))
    assert (len(found.findings), detector.calls) == (2, 2)


def test_without_detectors_nothing_can_be_found() -> None:
    with pytest.raises(ValueError, match="no detectors"):
        blur(encode(photo(), "PNG"), BlurSpec(find=FACES), LIMITS)


@pytest.mark.parametrize("output", [None, *FORMATS])
@pytest.mark.parametrize("format_", FORMATS)
def test_what_a_preview_shows_as_found_is_what_an_order_finds(format_: Format, output: Format | None) -> None:
    picture = photo(96, 64)
    draw_mark(picture, (16, 16, 32, 32))
    for file in (encode(picture, format_.value), _in_other_colours(picture, format_)):
        spec = BlurSpec(Redact(), find=FACES, output_format=output)
        previewed = find_regions(file, spec, LIMITS, OneDetector()).findings
        ordered = blur(file, spec, LIMITS, OneDetector()).inspection.findings
        assert previewed
        assert [(each.box, each.confidence) for each in previewed] == [(each.box, each.confidence) for each in ordered]


def _in_other_colours(picture: Image.Image, format_: Format) -> bytes:
    """The picture as CMYK, where the format has it, or with a second frame in which nothing is to be found."""
    if format_ in {Format.JPEG, Format.TIFF}:
        return encode(picture.convert("CMYK"), format_.value)
    if format_ is Format.BMP:
        return encode(picture, format_.value)
    return encode_frames([picture, photo(96, 64)], format_.value, duration=50)


def test_what_was_found_in_an_odd_jpeg_is_not_looked_for_again() -> None:
    data = encode(marked(), "JPEG", quality=95, restart_marker_blocks=1)
    odd = data.replace(b"\xff\xd1", b"\xff\xd5", 1)  # restart markers out of order
    for file, path in ((data, "jpeg-splice"), (odd, "pixels")):
        detector = MarkDetector()
        result = find(file, detector=detector)
        assert (result.path, len(result.inspection.findings), detector.calls) == (path, 2, 2)  # and the check


def test_an_odd_jpeg_is_decoded_once_however_often_it_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = encode(photo(), "JPEG", quality=95, restart_marker_blocks=1).replace(b"\xff\xd1", b"\xff\xd5", 1)
    decoded, tried = [], []
    hide_blocks = splice._SplicedJpeg._hide_blocks

    def count_decoded(*arguments: Any, **options: Any) -> DecodedImage:
        decoded.append(arguments)
        return decode(*arguments, **options)

    def count_tried(*arguments: Any) -> Blurred:
        tried.append(arguments)
        return hide_blocks(*arguments)

    monkeypatch.setattr(splice, "decode", count_decoded)
    monkeypatch.setattr(splice._SplicedJpeg, "_hide_blocks", count_tried)
    twice = ScriptedDetector(lambda _pixels, call: [box(18, 18, 30, 34)] if call <= 2 else [])
    result = find(odd, Gaussian(3), twice)
    assert (result.path, result.inspection.check.strengthened) == ("pixels", True)
    assert (len(decoded), len(tried)) == (1, 1)
    assert tried[0][0]._stored is None, "its coefficients are not kept beside the pixels"
