"""CenterFace in onnxruntime: pixels in, a map of faces out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.quantized import INPUT, OUTPUTS, quantized
from services.blur_worker.engine.finding.faces.saturation import weight_limit

STRIDE = 4
"""Pixels of the input per cell of the maps."""
MULTIPLE = 32
"""The height and width of the input have to be multiples of it."""


@dataclass(frozen=True, kw_only=True)
class FaceMaps:
    """Outputs of the network for each cell of inputs of one size, which is STRIDE pixels wide and high. Float32."""

    confidence: NDArray[np.float32]
    """Shape (inputs, height, width), 0 to 1: of a face having its centre in the cell."""
    log_size: NDArray[np.float32]
    """Shape (inputs, 2, height, width): natural logarithms of the face's height and width in cells."""
    offset: NDArray[np.float32]
    """Shape (inputs, 2, height, width): from the cell's centre to the face's, down and right, in cells."""


class Network:
    """A session of onnxruntime in one thread."""

    def __init__(self, weights: bytes) -> None:
        """Load it.

        Args:
            weights: The ONNX model of CenterFace.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # An arena would keep the memory of the largest picture for ever.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            quantized(weights, weight_limit(onnxruntime, options)),
            sess_options=options,
            providers=["CPUExecutionProvider"],
        )

    def run(self, pixels: NDArray[np.uint8]) -> FaceMaps:
        """Return the maps of inputs.

        Args:
            pixels: Shape (inputs, height, width, 3), red, green, blue; height and width are multiples of MULTIPLE.
        """
        outputs: Any = self._session.run(OUTPUTS, {INPUT: np.ascontiguousarray(pixels)})
        confidence, log_size, offset = outputs
        return FaceMaps(confidence=confidence[:, 0], log_size=log_size, offset=offset)
