"""Find what the operator's own models know: an ONNX file each and a TOML file of the same name beside it.

docs/custom-models.md describes both.
"""

from pathlib import Path

from services.blur_worker.engine.finding.custom.description import Description, read_descriptions
from services.blur_worker.engine.finding.detector import Detector
from services.blur_worker.engine.finding.onnx_session import is_runtime_installed
from services.common.domain.errors import ConfigurationError
from services.common.domain.findings import FindModel
from services.common.domain.spec import FindingKind


def models(folder: Path | None) -> list[FindModel]:
    """Return the models in a folder, without loading them; none without a folder.

    Raises:
        ConfigurationError: A description is wrong, or onnxruntime is missing.
    """
    return [_model(description) for description in _descriptions(folder)]


def load(folder: Path | None, name: str) -> Detector:
    """Return the detector for the model of this name, which must be one of `models`.

    Raises:
        ConfigurationError: The ONNX file cannot be loaded, or differs from its description.
    """
    from services.blur_worker.engine.finding.custom.custom_detector import CustomDetector  # noqa: PLC0415

    description = next(one for one in _descriptions(folder) if one.name == name)
    return CustomDetector(_model(description), description)


def check(folder: Path | None) -> None:
    """Load every model once, to find mistakes when the service starts.

    Raises:
        ConfigurationError: A description or an ONNX file is wrong; names the file and what to do.
    """
    for model in models(folder):
        load(folder, model.name)


def _descriptions(folder: Path | None) -> list[Description]:
    if folder is None:
        return []
    descriptions = read_descriptions(folder)
    if descriptions and not is_runtime_installed():
        raise ConfigurationError(f"{folder}: has models, but onnxruntime is not installed; install the extra `find`")
    return descriptions


def _model(description: Description) -> FindModel:
    return FindModel(
        kind=FindingKind.CUSTOM,
        name=description.name,
        version=description.version,
        license=description.license,
        labels=description.labels,
    )
