"""Find QR codes, bar codes and others with zxing-cpp, which is an extra."""

from importlib import metadata, util

from services.blur_worker.engine.finding.detector import Detector
from services.common.domain.findings import FindModel
from services.common.domain.spec import FindingKind


def model() -> FindModel | None:
    """Return which model finds codes; None if it is not installed."""
    if util.find_spec("zxingcpp") is None:
        return None
    from services.blur_worker.engine.finding.codes.symbologies import LABELS  # noqa: PLC0415

    return FindModel(
        kind=FindingKind.CODE,
        name="zxing-cpp",
        version=metadata.version("zxing-cpp"),
        license="Apache-2.0",
        labels=tuple(sorted(set(LABELS.values()))),
    )


def load() -> Detector:
    """Return the detector; `model` must have returned one."""
    from services.blur_worker.engine.finding.codes.code_detector import CodeDetector  # noqa: PLC0415

    found = model()
    assert found is not None
    return CodeDetector(found)
