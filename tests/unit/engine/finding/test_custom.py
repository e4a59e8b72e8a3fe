"""The operator's own models."""

from pathlib import Path

import numpy as np
import pytest

from services.blur_worker.engine.finding import custom
from services.blur_worker.engine.finding.custom.letterbox import tiles
from services.blur_worker.engine.finding.detector import Detection
from services.common.domain.errors import ConfigurationError
from services.common.domain.spec import Effort, Find, FindingKind
from tests.unit.engine.finding.tiny_models import SIDE, description, write_model

LAYOUTS = ("yolov5", "yolov8", "end_to_end")
FIND = Find(kind=FindingKind.CUSTOM, model="red")


def picture(width: int, height: int, *squares: tuple[int, int, int]) -> np.ndarray:
    """Grey, with red squares: left, top, side."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    for left, top, side in squares:
        pixels[top : top + side, left : left + side] = (255, 0, 0)
    return pixels


def covers(detection: Detection, left: int, top: int, side: int) -> bool:
    return (
        detection.left <= left + 0.01
        and detection.top <= top + 0.01
        and detection.right >= left + side - 0.01
        and detection.bottom >= top + side - 0.01
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_finds_the_square_where_it_is(tmp_path: Path, layout: str) -> None:
    write_model(tmp_path, layout)
    detector = custom.load(tmp_path, "red")
    # Twice as wide as high: the input has grey above and below.
    found = detector.detect(picture(128, 64, (80, 16, 16)), FIND, Effort.FAST)
    assert [one.label for one in found] == ["red square"] * len(found)
    assert any(abs((one.left + one.right) / 2 - 88) <= 8 and abs((one.top + one.bottom) / 2 - 24) <= 8 for one in found)
    assert all(60 < one.left < 110 and 0 <= one.top < 40 for one in found)
    assert not detector.detect(picture(128, 64), FIND, Effort.FAST)


def test_overlapping_findings_become_one(tmp_path: Path) -> None:
    write_model(tmp_path, "yolov8")
    detector = custom.load(tmp_path, "red")
    # Four cells are red; their boxes of 16 × 16 overlap by a third: more than 0.3, less than the default.
    pixels = picture(SIDE, SIDE, (16, 16, 16))
    assert len(detector.detect(pixels, FIND, Effort.FAST)) == 4
    (tmp_path / "red.toml").write_text(description(max_overlap="0.1"))
    found = custom.load(tmp_path, "red").detect(pixels, FIND, Effort.FAST)
    assert len(found) == 1


def test_confidence_is_the_one_asked_for(tmp_path: Path) -> None:
    write_model(tmp_path, "yolov8")
    detector = custom.load(tmp_path, "red")
    pixels = picture(SIDE, SIDE)
    pixels[16:24, 16:24] = (200, 40, 40)  # redness 0.63
    assert detector.min_confidence == 0.5
    assert len(detector.detect(pixels, FIND, Effort.FAST)) == 1
    sure = Find(kind=FindingKind.CUSTOM, model="red", min_confidence=0.7)
    assert not detector.detect(pixels, sure, Effort.FAST)


def test_more_effort_finds_smaller_objects(tmp_path: Path) -> None:
    write_model(tmp_path, "yolov8")
    detector = custom.load(tmp_path, "red")
    pixels = picture(4 * SIDE, 4 * SIDE, (160, 96, 14))
    assert not detector.detect(pixels, FIND, Effort.FAST)
    found = detector.detect(pixels, FIND, Effort.THOROUGH)
    assert found
    assert all(140 < one.left < 180 and 76 < one.top < 116 for one in found)


def test_tiles_cover_the_image_and_overlap() -> None:
    for width, height in ((1000, 700), (640, 640), (5000, 300), (1281, 641)):
        seen = np.zeros((height, width), np.int64)
        for left, top, right, bottom in [*tiles((width, height), (640, 640), 2)][1:]:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            seen[top:bottom, left:right] += 1
        assert seen.all() == (max(width, height) > 640)


def test_models_are_listed_without_loading_them(tmp_path: Path) -> None:
    write_model(tmp_path, "yolov5", name="b")
    write_model(tmp_path, "yolov8", name="a", labels=("red square",))
    (tmp_path / "b.onnx").write_bytes(b"no model")
    found = custom.models(tmp_path)
    assert [(one.kind, one.name, one.version, one.license, one.labels) for one in found] == [
        (FindingKind.CUSTOM, "a", "1.0", "MIT", ("red square",)),
        (FindingKind.CUSTOM, "b", "1.0", "MIT", ("red square",)),
    ]
    assert custom.models(None) == []
    with pytest.raises(ConfigurationError, match=r"b\.onnx: onnxruntime cannot load it"):
        custom.check(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: is missing"),
        ({"name": '"two words"'}, "name: must be at most 64 letters"),
        ({"version": "1"}, "version: must be a text in quotes"),
        ({"labels": "[]"}, "labels: must be a list of texts"),
        ({"layout": '"yolov3"'}, "layout: must be one of yolov5, yolov8, end_to_end"),
        ({"input_size": "[64]"}, "input_size: must be width and height"),
        ({"input_size": "[64, 128]"}, "input_size: the model's input is"),
        ({"min_confidence": "1.5"}, "min_confidence: must be a number from 0 to 1"),
        ({"paddding": "0.1"}, "paddding: is unknown; known are input_size"),
        ({"labels": '["a", "b"]'}, r"layout: yolov8 with 2 labels has an output of \(1, 6, n\), the model's is \(1, 5"),
        ({"layout": '"yolov5"'}, "correct layout or labels"),
        ({"license": '"MIT'}, "is not TOML"),
    ],
)
def test_a_wrong_description_is_explained(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    path = write_model(tmp_path, "yolov8")
    path.write_text(description(**changes))
    with pytest.raises(ConfigurationError, match=message) as raised:
        custom.check(tmp_path)
    assert str(path) in str(raised.value)


def test_files_that_belong_together_must_be_there(tmp_path: Path) -> None:
    path = write_model(tmp_path, "yolov8")
    path.with_name("other.toml").write_text(description())
    with pytest.raises(ConfigurationError, match=r"describes other\.onnx, which is missing"):
        custom.models(tmp_path)
    path.with_name("other.onnx").write_bytes(path.with_suffix(".onnx").read_bytes())
    with pytest.raises(ConfigurationError, match=r"'red' is also in other\.toml"):
        custom.models(tmp_path)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"red\.onnx: has no description; add red\.toml"):
        custom.models(tmp_path)
    with pytest.raises(ConfigurationError, match="must be the folder of the custom models"):
        custom.models(tmp_path / "nowhere")
