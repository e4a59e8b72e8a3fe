"""Finding codes with zxing-cpp."""

import numpy as np
import pytest
from PIL import Image

from services.blur_worker.engine.finding import codes
from services.blur_worker.engine.finding.detector import Detection, Detector
from services.common.domain.spec import Effort, Find, FindingKind

zxingcpp = pytest.importorskip("zxingcpp")

FIND = Find(kind=FindingKind.CODE)
CONTENTS = {
    "QR_CODE": ("QRCode", "https://example.org"),
    "EAN_13": ("EAN13", "590123412345"),
    "CODE_128": ("Code128", "ABC-1234567"),
    "DATA_MATRIX": ("DataMatrix", "Hello 12345"),
    "PDF_417": ("PDF417", "Hello 12345 world"),
    "AZTEC": ("Aztec", "Hello 12345"),
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return codes.load()


def planted(label: str, module: int = 3, angle: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of 640 × 600 with a code on white paper, and where its dark pixels are."""
    name, content = CONTENTS[label]
    cells = np.array(zxingcpp.create_barcode(content, getattr(zxingcpp.BarcodeFormat, name)).to_image(scale=1))
    paper = np.pad(cells, 8, constant_values=255)
    large = Image.fromarray(paper).resize((paper.shape[1] * module, paper.shape[0] * module), Image.Resampling.NEAREST)
    large = large.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    picture = Image.new("L", (640, 600), 255)
    picture.paste(large, ((640 - large.width) // 2, (600 - large.height) // 2))
    pixels = np.asarray(picture)
    return np.repeat(pixels[:, :, np.newaxis], 3, axis=2), pixels < 100


def hidden(detections: list[Detection]) -> np.ndarray:
    mask = np.zeros((600, 640), np.bool_)
    for one in detections:
        mask[int(one.top) : int(np.ceil(one.bottom)), int(one.left) : int(np.ceil(one.right))] = True
    return mask


@pytest.mark.parametrize("label", CONTENTS)
@pytest.mark.parametrize("angle", [0, 10, 37, 90])
def test_codes_are_covered_whole(detector: Detector, label: str, angle: float) -> None:
    pixels, dark = planted(label, 3, angle)
    found = detector.detect(pixels, FIND, Effort.BALANCED)
    assert label in {one.label for one in found}
    assert hidden(found)[dark].mean() > 0.98
    area = np.ptp(np.nonzero(dark)[0]) * np.ptp(np.nonzero(dark)[1])
    assert hidden(found).sum() < 2.2 * area


def test_fast_finds_upright_codes(detector: Detector) -> None:
    pixels, dark = planted("EAN_13", 2, 8)
    found = detector.detect(pixels, FIND, Effort.FAST)
    assert [one.label for one in found] == ["EAN_13"]
    assert hidden(found)[dark].mean() > 0.98, "all of the bars, although a row crosses but a part of them"


def test_a_damaged_code_is_less_certain(detector: Detector) -> None:
    pixels, dark = planted("QR_CODE", 6)
    rows, columns = np.nonzero(dark)
    top, left = rows.min(), columns.min()
    side = np.ptp(rows)
    # Most of the data, without the three corners.
    pixels[top + side // 3 : top + side, left + side // 3 : left + side] = 255
    found = detector.detect(pixels, FIND, Effort.BALANCED)
    assert [(one.label, one.confidence) for one in found] == [("QR_CODE", 0.6)]
    sure = Find(kind=FindingKind.CODE, min_confidence=0.9)
    assert detector.detect(pixels, sure, Effort.BALANCED) == []


def test_a_picture_without_codes_has_none(detector: Detector) -> None:
    slope = np.add.outer(np.arange(300), np.arange(400)) // 3 % 256
    assert detector.detect(np.repeat(slope.astype(np.uint8)[:, :, np.newaxis], 3, axis=2), FIND, Effort.THOROUGH) == []
    for height, width in ((1, 1), (2, 900), (900, 2)):
        assert detector.detect(np.zeros((height, width, 3), np.uint8), FIND, Effort.THOROUGH) == []


def test_every_label_is_listed(detector: Detector) -> None:
    assert set(CONTENTS) <= set(detector.model.labels)
    assert codes.model() == detector.model
