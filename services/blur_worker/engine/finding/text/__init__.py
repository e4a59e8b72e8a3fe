"""Find text: the models of PaddleOCR that the distribution `rapidocr` carries, run by onnxruntime. Both are extras."""

from services.blur_worker.engine.finding.detector import Detector
from services.blur_worker.engine.finding.onnx_session import is_runtime_installed, packaged_file, packaged_version
from services.blur_worker.engine.finding.text.files import DISTRIBUTION, FILES
from services.common.domain.findings import FindModel
from services.common.domain.spec import FindingKind, TextClass


def model() -> FindModel | None:
    """Return which model finds text; None if it is not installed, or a version that carries other models."""
    if not is_runtime_installed() or any(packaged_file(DISTRIBUTION, file.name) is None for file in FILES):
        return None
    return FindModel(
        kind=FindingKind.TEXT,
        name="PP-OCRv6-small",
        version=packaged_version(DISTRIBUTION),
        license="Apache-2.0",
        labels=tuple(str(text_class) for text_class in TextClass if text_class is not TextClass.ALL),
    )


def load() -> Detector:
    """Return the detector; `model` must have returned one.

    Raises:
        ConfigurationError: A file of the distribution has been changed.
    """
    from services.blur_worker.engine.finding.text.text_detector import TextDetector  # noqa: PLC0415

    found = model()
    assert found is not None
    return TextDetector(found)
