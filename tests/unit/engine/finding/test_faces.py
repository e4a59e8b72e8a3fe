"""Faces of scikit-image's astronaut: of several sizes, turned, in collages; weights that are missing or wrong."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from benchmarks.face_pictures import Box, Picture, turned
from benchmarks.face_recall import overlap
from services.blur_worker.engine.finding import faces
from services.blur_worker.engine.finding.detector import Detection, Detector
from services.blur_worker.engine.finding.faces import network, weights
from services.blur_worker.engine.finding.faces.saturation import SAFE_LIMIT
from services.blur_worker.engine.finding.faces.suppression import without_duplicates
from services.common.domain.spec import Effort, Find, FindingKind
from tests.support.images import whole_photo

FIND = Find(kind=FindingKind.FACE)
FACE: Box = (181, 61, 269, 176)
"""Of the astronaut, in a picture of 512 by 512 pixels."""


@pytest.fixture(scope="module")
def detector() -> Detector:
    return faces.load()


def found(detector: Detector, image: Image.Image, effort: Effort = Effort.BALANCED, find: Find = FIND) -> list[Box]:
    return [sides(each) for each in detector.detect(np.asarray(image), find, effort)]


def sides(detection: Detection) -> Box:
    return (detection.left, detection.top, detection.right, detection.bottom)


def astronaut(face_height: float) -> Picture:
    """The astronaut with a face of this height in pixels."""
    scale = face_height / (FACE[3] - FACE[1])
    side = round(512 * scale)
    left, top, right, bottom = (number * side / 512 for number in FACE)
    return Picture(
        name="astronaut",
        image=whole_photo().resize((side, side), Image.Resampling.LANCZOS),
        faces=((left, top, right, bottom),),
    )


@pytest.mark.parametrize(
    ("effort", "height"),
    [(Effort.FAST, 48), (Effort.BALANCED, 18), (Effort.THOROUGH, 16)]
    + [(effort, height) for effort in Effort for height in (64, 115, 300)],
)
def test_finds_a_face_and_nothing_else(detector: Detector, effort: Effort, height: int) -> None:
    picture = astronaut(height)
    (box,) = found(detector, picture.image, effort)
    assert overlap(box, picture.faces[0]) > 0.6


@pytest.mark.parametrize("degrees", [-90, -45, -30, 30, 45, 90])
@pytest.mark.parametrize("height", [30, 100])
def test_finds_a_turned_face(detector: Detector, degrees: float, height: int) -> None:
    picture = turned(astronaut(height), degrees)
    boxes = found(detector, picture.image)
    assert max(overlap(box, picture.faces[0]) for box in boxes) > 0.4


def test_finds_a_face_upside_down_when_thorough(detector: Detector) -> None:
    picture = turned(astronaut(80), 180)
    assert max(overlap(box, picture.faces[0]) for box in found(detector, picture.image, Effort.THOROUGH)) > 0.5


def test_finds_small_faces_across_a_collage(detector: Detector) -> None:
    """Faces lie at every place of the tiles, also where two of them meet."""
    head = whole_photo().crop((140, 20, 310, 220))
    sheet = Image.new("RGB", (1500, 1200), (120, 130, 140))
    expected = []
    chance = np.random.default_rng(7)
    for top in range(4, 1150, 61):
        for left in range(4, 1450, 53):
            height = int(chance.integers(34, 48))
            scale = height / 200
            small = head.resize((round(170 * scale), height), Image.Resampling.LANCZOS)
            sheet.paste(ImageEnhance.Brightness(small).enhance(chance.uniform(0.7, 1.3)), (left, top))
            x, y = left - 140 * scale, top - 20 * scale
            expected.append((x + FACE[0] * scale, y + FACE[1] * scale, x + FACE[2] * scale, y + FACE[3] * scale))
    boxes = found(detector, sheet)
    hit = [any(overlap(box, face) > 0.4 for box in boxes) for face in expected]
    assert np.mean(hit) > 0.97


def test_finds_a_turned_crowd(detector: Detector) -> None:
    """Several faces turned alike make it look at the whole image turned."""
    head = whole_photo().crop((140, 20, 310, 220)).resize((51, 60), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (600, 480), (120, 130, 140))
    places = [(left, top) for top in range(10, 400, 75) for left in range(10, 540, 62)]
    for place in places:
        sheet.paste(head, place)
    boxes = found(detector, sheet.transpose(Image.Transpose.ROTATE_90))
    assert len(boxes) >= 0.95 * len(places)


def test_a_picture_without_faces(detector: Detector) -> None:
    sky = np.full((300, 400, 3), (90, 140, 200), np.uint8)
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    assert not detector.detect(sky, FIND, Effort.THOROUGH)
    assert not detector.detect(noise, FIND, Effort.THOROUGH)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (31, 33), (513, 40)])
@pytest.mark.parametrize("effort", Effort)
def test_odd_sizes(detector: Detector, size: tuple[int, int], effort: Effort) -> None:
    assert found(detector, whole_photo().resize(size), effort) is not None


def test_boxes_are_inside_the_image(detector: Detector) -> None:
    image = whole_photo().crop((200, 70, 400, 400))
    boxes = found(detector, image)
    assert boxes
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= image.width
        assert 0 <= top < bottom <= image.height


def test_respects_the_confidence_asked_for(detector: Detector) -> None:
    image = astronaut(60).image
    (detection,) = detector.detect(np.asarray(image), FIND, Effort.BALANCED)
    assert detector.min_confidence <= detection.confidence <= 1
    for asked, count in ((detection.confidence - 0.01, 1), (detection.confidence + 0.01, 0)):
        assert len(found(detector, image, find=Find(kind=FindingKind.FACE, min_confidence=asked))) == count


def test_finds_faces_with_weights_of_seven_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors whose 8-bit sums overflow."""
    monkeypatch.setattr(network, "weight_limit", lambda *_: SAFE_LIMIT)
    picture = astronaut(40)
    (box,) = found(faces.load(), picture.image)
    assert overlap(box, picture.faces[0]) > 0.6


def test_finds_the_same_every_time(detector: Detector) -> None:
    image = whole_photo()
    first = found(detector, image)
    found(detector, astronaut(30).image)
    assert found(detector, image) == first


def test_refuses_weights_with_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = weights.path()
    assert file
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    other = tmp_path / "centerface.onnx"
    other.write_bytes(changed)
    monkeypatch.setattr(weights, "path", lambda: other)
    with pytest.raises(weights.WeightsRefused, match="SHA-256"):
        faces.load()


def test_without_its_packages_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faces.model()
    with monkeypatch.context() as without_onnxruntime:
        without_onnxruntime.setattr(faces, "find_spec", lambda _: None)
        assert faces.model() is None

    def no_files(package: str) -> None:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(weights, "files", no_files)
    assert faces.model() is None
    with pytest.raises(weights.WeightsRefused, match="not installed"):
        faces.load()


def test_a_box_of_half_a_face_is_completed_by_one_of_all_of_it() -> None:
    half, whole = [20.0, 0.0, 50.0, 50.0, 0.85], [0.0, 0.0, 50.0, 50.0, 0.82]
    unsure, apart = [0.0, 0.0, 60.0, 50.0, 0.4], [100.0, 0.0, 150.0, 50.0, 0.5]
    found = without_duplicates(np.array([half, whole, unsure, apart], np.float32))
    assert found.tolist() == [[0, 0, 50, 50, pytest.approx(0.85)], apart]
