"""Whether this processor's 8-bit multiplications are exact.

On x86-64 without VNNI, onnxruntime adds pairs of products in 16 bits, which overflow unless weights have 7 bits.
"""

from typing import Any

import numpy as np

from services.blur_worker.engine.finding.faces.onnx_model import Graph

EXACT_LIMIT, SAFE_LIMIT = 127, 63
"""Greatest weights where products are exact, and where they are not."""
_CHANNELS = 64
_EXPECTED = 200


def weight_limit(onnxruntime: Any, options: Any) -> int:
    """Return the greatest weight that may be used: multiply the greatest numbers, and see whether the sum is right.

    Args:
        onnxruntime: The module.
        options: SessionOptions.
    """
    session = onnxruntime.InferenceSession(_model(), sess_options=options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(["sums"], {"x": np.full((1, 8, 8, _CHANNELS), 255, np.uint8)})
    return EXACT_LIMIT if (sums == _EXPECTED).all() else SAFE_LIMIT


def _model() -> bytes:
    graph = Graph()
    one = graph.weight("one", np.array(1, np.float32))
    zero = graph.weight("zero", np.array(0, np.uint8))
    weights = graph.weight("weights", np.full((16, _CHANNELS, 1, 1), EXACT_LIMIT, np.int8))
    zeros = graph.weight("zeros", np.array(0, np.int8))
    scale = graph.weight("scale", np.array(255 * EXACT_LIMIT * _CHANNELS / _EXPECTED, np.float32))
    inputs = ["x", one, zero, weights, one, zeros, scale, zero]
    attributes: dict[str, int | list[int]] = {"kernel_shape": [1, 1], "channels_last": 1}
    graph.node("QLinearConv", inputs, "y", domain="com.microsoft", attributes=attributes)
    graph.node("DequantizeLinear", ["y", one, zero], "sums")
    return graph.file({"x": np.uint8}, ["sums"])
