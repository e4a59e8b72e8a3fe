"""The detector for a custom model: tiles, letterboxes, runs and merges."""

import numpy as np

from services.blur_worker.engine.finding.custom.description import Description
from services.blur_worker.engine.finding.custom.layouts import Candidates, candidates, describe_shape
from services.blur_worker.engine.finding.custom.letterbox import letterbox, tiles
from services.blur_worker.engine.finding.custom.suppression import keep_most_confident
from services.blur_worker.engine.finding.detector import Detection, RgbPixels
from services.blur_worker.engine.finding.onnx_session import Array, OnnxSession
from services.common.domain.errors import ConfigurationError
from services.common.domain.findings import FindModel
from services.common.domain.spec import Effort, Find

_MAX_TILES_ACROSS = {Effort.FAST: 1, Effort.BALANCED: 2, Effort.THOROUGH: 4}
"""The image is looked at whole and, where it is larger than the model's input, in tiles; so many times the input."""


class CustomDetector:
    """Runs one model of the operator's."""

    def __init__(self, model: FindModel, description: Description) -> None:
        """Load the model and run it once.

        Raises:
            ConfigurationError: It cannot be loaded, or differs from its description.
        """
        self._model = model
        self._description = description
        self._session = OnnxSession(description.onnx_path, keep_memory=True)  # all inputs have one size
        self._check_input()
        try:
            output = self._run(np.zeros((1, 3, description.height, description.width), np.float32))
        except MemoryError:
            raise
        except Exception as error:
            size = f"{description.width} × {description.height}"
            raise ConfigurationError(f"{description.onnx_path}: fails for an input of {size}: {error}") from None
        if candidates(output, description.layout, len(description.labels), 0.0) is None:
            raise ConfigurationError(
                f"{description.path}: layout: {description.layout} with {len(description.labels)} labels has an output "
                f"of {describe_shape(description.layout, len(description.labels))}, the model's is "
                f"{tuple(output.shape)}; correct layout or labels"
            )

    @property
    def model(self) -> FindModel:
        """Which model it is."""
        return self._model

    @property
    def min_confidence(self) -> float:
        """The description's."""
        return self._description.min_confidence

    @property
    def padding(self) -> float:
        """The description's."""
        return self._description.padding

    def detect(self, pixels: RgbPixels, find: Find, effort: Effort) -> list[Detection]:
        """Return what the model finds in the whole image and in its tiles."""
        least = self.min_confidence if find.min_confidence is None else find.min_confidence
        height, width = pixels.shape[:2]
        size = self._description.width, self._description.height
        found = [
            self._detect_tile(pixels, tile, least) for tile in tiles((width, height), size, _MAX_TILES_ACROSS[effort])
        ]
        together = Candidates.joined(found).clipped(width, height)
        return [self._detection(together, i) for i in keep_most_confident(together, self._description.max_overlap)]

    def _detect_tile(self, pixels: RgbPixels, tile: tuple[int, int, int, int], least: float) -> Candidates:
        left, top, right, bottom = tile
        boxed = letterbox(pixels[top:bottom, left:right], self._description.width, self._description.height)
        output = self._run(boxed.values)
        found = candidates(output, self._description.layout, len(self._description.labels), least)
        assert found is not None  # the shape was checked when the model was loaded
        return found.scaled(1 / boxed.scale, (left - boxed.left / boxed.scale, top - boxed.top / boxed.scale))

    def _run(self, values: Array) -> Array:
        return self._session.run(values)[0]

    def _check_input(self) -> None:
        description = self._description
        if self._session.input_type != "tensor(float)":
            raise ConfigurationError(
                f"{description.onnx_path}: its input is {self._session.input_type}; export it with 32-bit floats"
            )
        shape = self._session.input_shape
        expected = (1, 3, description.height, description.width)
        if len(shape) != 4 or any(isinstance(a, int) and a != b for a, b in zip(shape, expected, strict=True)):
            raise ConfigurationError(
                f"{description.path}: input_size: the model's input is {shape}, expected is {expected} "
                "(1, 3, height, width); correct input_size or export the model again"
            )

    def _detection(self, found: Candidates, i: int) -> Detection:
        left, top, right, bottom = (float(value) for value in found.boxes[i])
        return Detection(
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            confidence=min(float(found.scores[i]), 1.0),
            label=self._description.labels[found.classes[i]],
        )
