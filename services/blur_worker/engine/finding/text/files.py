"""The files of the models of text."""

from dataclasses import dataclass
from pathlib import Path

from services.blur_worker.engine.finding.onnx_session import packaged_file

DISTRIBUTION = "rapidocr"


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file in a wheel."""

    name: str
    """Path as in the wheel."""
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is installed."""
        path = packaged_file(DISTRIBUTION, self.name)
        assert path is not None, f"{DISTRIBUTION} lacks {self.name}"
        return path


DETECTION = ModelFile(
    "rapidocr/models/PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
)
RECOGNITION = ModelFile(
    "rapidocr/models/PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"
)
FILES = (DETECTION, RECOGNITION)
