"""Which detectors this worker has, and loading them when they are first asked for."""

from pathlib import Path

from services.blur_worker.engine.finding import codes, custom, faces, text
from services.blur_worker.engine.finding.detector import Detector
from services.common.domain.errors import ImageBlurError
from services.common.domain.findings import FindModel
from services.common.domain.spec import Find, FindingKind


class DetectorMissing(ImageBlurError):
    """This worker lacks the detector that a spec asks for; another one may have it."""


class Detectors:
    """The detectors of a process."""

    def __init__(self, custom_folder: Path | None = None) -> None:
        """Make an empty set; nothing is loaded.

        Args:
            custom_folder: Holds the operator's models: an ONNX file each and its description, a TOML file.
        """
        self._custom_folder = custom_folder
        self._loaded: dict[tuple[FindingKind, str], Detector] = {}

    def models(self) -> list[FindModel]:
        """Return the models that `load` can load, without loading any."""
        built_in = [model for package in (faces, text, codes) if (model := package.model())]
        return built_in + custom.models(self._custom_folder)

    def load(self, find: Find) -> Detector:
        """Return the detector for something to find; the same one every time.

        Raises:
            DetectorMissing: Its packages or its files are not installed here.
        """
        key = (find.kind, find.model)
        if key not in self._loaded:
            self._loaded[key] = self._load(find)
        return self._loaded[key]

    def _load(self, find: Find) -> Detector:
        match find.kind:
            case FindingKind.FACE if faces.model():
                return faces.load()
            case FindingKind.TEXT if text.model():
                return text.load()
            case FindingKind.CODE if codes.model():
                return codes.load()
            case FindingKind.CUSTOM if find.model in {model.name for model in custom.models(self._custom_folder)}:
                return custom.load(self._custom_folder, find.model)
        raise DetectorMissing(f"no model for {find.kind} {find.model}".rstrip())
