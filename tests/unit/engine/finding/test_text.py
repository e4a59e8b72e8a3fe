"""Finding lines of text and classes of it, with the models."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from services.blur_worker.engine.finding import text
from services.blur_worker.engine.finding.detector import Detection, Detector
from services.common.domain.spec import Effort, Find, FindingKind, TextClass

pytestmark = pytest.mark.skipif(text.model() is None, reason="the models of text are not installed here")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return text.load()


def planted(words: str, angle: float = 0, size: int = 22) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of 480 × 360 with a text in its middle, and where its ink is."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(words)
    layer = Image.new("L", (int(right - left) + 6, int(bottom - top) + 6))
    ImageDraw.Draw(layer).text((3 - left, 3 - top), words, fill=255, font=font)
    layer = layer.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    alpha = Image.new("L", (480, 360))
    alpha.paste(layer, ((480 - layer.width) // 2, (360 - layer.height) // 2))
    pixels = 230 - np.asarray(alpha, np.int64) * 200 // 255
    return np.repeat(pixels.astype(np.uint8)[:, :, np.newaxis], 3, axis=2), np.asarray(alpha) > 64


def hidden(detections: list[Detection]) -> np.ndarray:
    mask = np.zeros((360, 480), np.bool_)
    for one in detections:
        mask[int(one.top) : int(np.ceil(one.bottom)), int(one.left) : int(np.ceil(one.right))] = True
    return mask


def find(*classes: TextClass) -> Find:
    return Find(kind=FindingKind.TEXT, text_classes=classes)


@pytest.mark.parametrize(("angle", "size"), [(0, 14), (0, 60), (10, 22), (-10, 22), (90, 22), (45, 22)])
def test_lines_are_covered(detector: Detector, angle: float, size: int) -> None:
    pixels, ink = planted("a line of text" if size < 40 else "large", angle, size)
    found = detector.detect(pixels, find(), Effort.BALANCED)
    assert {one.label for one in found} == {""}
    assert hidden(found)[ink].mean() > 0.98
    assert hidden(found).mean() < 0.3


def test_letters_of_any_size_are_covered_in_large_images(detector: Detector) -> None:
    pixels, ink = planted("HUGE", size=150)
    pixels, ink = pixels.repeat(5, axis=0).repeat(5, axis=1), ink.repeat(5, axis=0).repeat(5, axis=1)
    mask = np.zeros_like(ink)
    for one in detector.detect(pixels, find(), Effort.FAST):
        mask[int(one.top) : int(np.ceil(one.bottom)), int(one.left) : int(np.ceil(one.right))] = True
    assert mask[ink].mean() > 0.98


@pytest.mark.parametrize("angle", [0, 8, 90, -90])
def test_a_class_covers_its_part_of_the_line(detector: Detector, angle: float) -> None:
    words = "write to anna.keller@example.org"
    pixels, ink = planted(words, angle, 20)
    found = detector.detect(pixels, find(TextClass.E_MAIL, TextClass.IBAN), Effort.BALANCED)
    assert {one.label for one in found} == {"E_MAIL"}
    covered = hidden(found)[ink].mean()
    assert 0.65 < covered < 0.95, "the address, not the words before it"
    assert not detector.detect(pixels, find(TextClass.CARD), Effort.BALANCED)


@pytest.mark.parametrize(
    ("words", "label"),
    [("+49 30 901820", "PHONE"), ("4111 1111 1111 1111", "CARD"), ("DE89 3704 0044 0532 0130 00", "IBAN"),
     ("AB12 CDE", "PLATE")],
)  # fmt: skip
def test_numbers_are_found(detector: Detector, words: str, label: str) -> None:
    pixels, ink = planted(words, size=26)
    found = detector.detect(pixels, find(*(one for one in TextClass if one != TextClass.ALL)), Effort.BALANCED)
    assert {one.label for one in found} == {label}
    assert hidden(found)[ink].mean() > 0.98


def test_what_asks_for_more_confidence_finds_less(detector: Detector) -> None:
    pixels, _ = planted("a line of text")
    assert not detector.detect(pixels, Find(kind=FindingKind.TEXT, min_confidence=1.0), Effort.BALANCED)


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 3), (31, 33)])
def test_images_of_any_size_can_be_looked_at(detector: Detector, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    for effort in Effort:
        for one in detector.detect(pixels, find(TextClass.PLATE), effort):
            assert 0 <= one.left < one.right <= size[0]
    assert not detector.detect(np.full((size[1], size[0], 3), 200, np.uint8), find(), Effort.THOROUGH)
