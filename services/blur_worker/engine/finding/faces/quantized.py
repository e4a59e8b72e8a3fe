"""CenterFace in 8-bit integers: four times as fast as in floating point, made from the weights when they are loaded.

Weights are quantised symmetrically for each output channel, activations for each tensor by the ranges in `ranges`. A
ReLU is the lower end of its tensor's range and costs nothing. The upsampling and the heads stay in floating point.
"""

import numpy as np

from services.blur_worker.engine.finding.faces.onnx_model import Array, Attributes, Graph, Node, read
from services.blur_worker.engine.finding.faces.ranges import RANGES

INPUT = "input.1"
OUTPUTS = ("confidence", "log_size", "offset")

_HEADS = {"536": "confidence", "538": "log_size", "539": "offset"}
_LANDMARKS = "540"


def quantized(weights: bytes, weight_limit: int) -> bytes:
    """Return an ONNX model with an input of uint8, shape (1, height, width, 3), and the outputs of OUTPUTS.

    Args:
        weights: The ONNX model of CenterFace.
        weight_limit: The greatest quantised weight: 127, or less where a processor's sums would overflow.
    """
    nodes, tensors = read(weights)
    return _Builder(nodes, tensors, weight_limit).file()


class _Builder:
    def __init__(self, nodes: list[Node], tensors: dict[str, Array], weight_limit: int) -> None:
        self._graph = Graph()
        self._tensors = tensors
        self._weight_limit = weight_limit
        self._nodes = {node.outputs[0]: node for node in nodes}
        self._order = [node.outputs[0] for node in nodes]
        self._next = {name: node for node in nodes for name in node.inputs}
        self._parameters: dict[str, list[str]] = {}
        """Names of the scale and zero point of each tensor."""
        self._scales: dict[str, float] = {}
        self._features = ""
        """The float tensor that the heads take."""

    def file(self) -> bytes:
        """Return the quantised model."""
        self._quantization("input.1", (0.0, 255.0))
        for name in self._order:
            node = self._nodes[name]
            if name in _HEADS:
                self._head(node, _HEADS[name])
            elif node.kind == "Conv" and name != _LANDMARKS:
                self._convolution(node)
            elif node.kind == "Add":
                self._sum(node)
            elif node.kind == "ConvTranspose":
                self._upsampling(node)
        return self._graph.file({INPUT: np.uint8}, OUTPUTS)

    def _quantization(self, name: str, limits: tuple[float, float]) -> list[str]:
        """Return the names of the scale and zero point of a tensor."""
        low, high = min(limits[0], 0.0), max(limits[1], 0.0)
        scale = (high - low) / 255
        zero = round(-low / scale)
        self._parameters[name] = [
            self._graph.weight(f"{name}.scale", np.array(scale, np.float32)),
            self._graph.weight(f"{name}.zero", np.array(zero, np.uint8)),
        ]
        self._scales[name] = scale
        return self._parameters[name]

    def _output(self, name: str) -> str:
        """Return the name of the tensor after the ReLU, if one follows."""
        following = self._next.get(name)
        return following.outputs[0] if following and following.kind == "Relu" else name

    def _convolution(self, node: Node) -> None:
        source, weight, bias = node.inputs
        kernel, offset = self._tensors[weight].astype(np.float64), self._tensors[bias].astype(np.float64)
        peak = np.abs(kernel).max(axis=(1, 2, 3))
        scales = np.maximum(peak, 1e-8) / self._weight_limit
        whole = np.rint(kernel / scales[:, None, None, None]).astype(np.int8)
        total = np.rint(offset / (scales * self._scales[source])).clip(-(2**31), 2**31 - 1).astype(np.int32)
        output = self._output(node.outputs[0])
        inputs = [
            source,
            *self._parameters[source],
            self._graph.weight(weight, whole),
            self._graph.weight(f"{weight}.scale", scales.astype(np.float32)),
            self._graph.weight(f"{weight}.zero", np.zeros(len(scales), np.int8)),
            *self._quantization(output, RANGES[output]),
            self._graph.weight(bias, total),
        ]
        side, stride = kernel.shape[2], 2 if node.outputs[0] in _HALVING else 1
        groups = len(kernel) if kernel.shape[1] == 1 else 1
        attributes: Attributes = {
            "kernel_shape": [side, side],
            "strides": [stride, stride],
            "pads": [side // 2] * 4,
            "group": groups,
            "channels_last": 1,
        }
        self._graph.node("QLinearConv", inputs, output, domain="com.microsoft", attributes=attributes)

    def _sum(self, node: Node) -> None:
        output = node.outputs[0]
        first, second = node.inputs
        inputs = [first, *self._parameters[first], second, *self._parameters[second]]
        inputs += self._quantization(output, RANGES[output])
        self._graph.node("QLinearAdd", inputs, output, domain="com.microsoft")

    def _upsampling(self, node: Node) -> None:
        """Add a transposed convolution with the normalisation behind it folded in, and its ReLU."""
        normalisation = self._next[node.outputs[0]]
        gain, shift, mean, variance = (self._tensors[name].astype(np.float64) for name in normalisation.inputs[1:5])
        factor = gain / np.sqrt(variance + 1e-5)
        kernel = self._tensors[node.inputs[1]] * factor[None, :, None, None]
        name, output = node.outputs[0], self._output(normalisation.outputs[0])
        self._float_planes(node.inputs[0], f"{name}.in")
        weights = [
            self._graph.weight(f"{name}.kernel", kernel.astype(np.float32)),
            self._graph.weight(f"{name}.bias", (shift - mean * factor).astype(np.float32)),
        ]
        attributes: Attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
        self._graph.node("ConvTranspose", [f"{name}.in", *weights], f"{name}.out", attributes=attributes)
        self._graph.node("QuantizeLinear", [f"{name}.out", *self._quantization(output, RANGES[output])], f"{name}.q")
        self._graph.node("Transpose", [f"{name}.q"], output, attributes={"perm": [0, 2, 3, 1]})

    def _float_planes(self, source: str, output: str) -> str:
        """Return the name of a tensor as floating point, its channels first."""
        self._graph.node("Transpose", [source], f"{output}.planes", attributes={"perm": [0, 3, 1, 2]})
        return self._graph.node("DequantizeLinear", [f"{output}.planes", *self._parameters[source]], output)

    def _head(self, node: Node, name: str) -> None:
        source, weight, bias = node.inputs
        self._features = self._features or self._float_planes(source, "features")
        weights = [self._graph.weight(each, self._tensors[each]) for each in (weight, bias)]
        if name == "confidence":
            self._graph.node("Conv", [self._features, *weights], "logit", attributes={"kernel_shape": [1, 1]})
            self._graph.node("Sigmoid", ["logit"], name)
        else:
            self._graph.node("Conv", [self._features, *weights], name, attributes={"kernel_shape": [1, 1]})


_HALVING = {"363", "374", "391", "417", "478"}
"""Convolutions of stride 2."""
