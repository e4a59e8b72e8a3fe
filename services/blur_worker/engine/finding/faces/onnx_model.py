"""Read the nodes and weights of an ONNX file, and write one.

Source: onnx.proto of the ONNX IR specification, whose numbers of fields are used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.faces.wire_format import field, fields

Array = NDArray[Any]
Attributes = dict[str, int | list[int]]

_ELEMENT_TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6}
_IR_VERSION = 8
_OPSETS = {"": 13, "com.microsoft": 1}
_INT, _INTS = 2, 7
"""Types of attributes."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """An operation of a graph."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read(file: bytes) -> tuple[list[Node], dict[str, Array]]:
    """Return the nodes in their order, and the float32 weights by name."""
    (graph,) = (value for number, value in fields(file) if number == 7)
    nodes = [_node(value) for number, value in _messages(graph) if number == 1]
    tensors = [_tensor(value) for number, value in _messages(graph) if number == 5]
    return nodes, dict(tensors)


def _messages(message: Any) -> list[tuple[int, bytes]]:
    return [(number, value) for number, value in fields(message) if isinstance(value, bytes)]


def _node(message: bytes) -> Node:
    parts = [(number, value) for number, value in _messages(message) if number in {1, 2, 4}]
    inputs, outputs, kinds = ([value.decode() for number, value in parts if number == wanted] for wanted in (1, 2, 4))
    return Node(kind=kinds[0], inputs=tuple(inputs), outputs=tuple(outputs))


def _tensor(message: bytes) -> tuple[str, Array]:
    parts = list(fields(message))
    shape = [value for number, value in parts if number == 1 and isinstance(value, int)]
    values: dict[int, Any] = dict(parts)
    data = values.get(9, values.get(4, b""))
    kind = {1: "<f4", 7: "<i8"}[values[2]]
    return values[8].decode(), np.frombuffer(data, kind).reshape(shape)


class Graph:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        """Make an empty one."""
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []

    def weight(self, name: str, values: Array) -> str:
        """Add a constant; return its name."""
        dims = b"".join(field(1, side) for side in values.shape)
        kind = field(2, _ELEMENT_TYPES[values.dtype])
        self._weights.append(dims + kind + field(8, name) + field(9, np.ascontiguousarray(values).tobytes()))
        return name

    def node(
        self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", attributes: Attributes | None = None
    ) -> str:
        """Add an operation with one output; return the output's name."""
        parts = [field(1, name) for name in inputs] + [field(2, output), field(3, output), field(4, kind)]
        parts += [field(5, _attribute(name, value)) for name, value in (attributes or {}).items()]
        self._nodes.append(b"".join([*parts, field(7, domain)]))
        return output

    def file(self, inputs: dict[str, type[np.generic]], outputs: Sequence[str]) -> bytes:
        """Return the ONNX file: of any sizes, and float32 outputs."""
        graph = [field(1, node) for node in self._nodes] + [field(2, "faces")]
        graph += [field(5, weight) for weight in self._weights]
        graph += [field(11, _value(name, np.dtype(kind))) for name, kind in inputs.items()]
        graph += [field(12, _value(name, np.dtype(np.float32))) for name in outputs]
        opsets = b"".join(field(8, field(1, domain) + field(2, version)) for domain, version in _OPSETS.items())
        return field(1, _IR_VERSION) + field(7, b"".join(graph)) + opsets


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, list):
        return field(1, name) + b"".join(field(8, each) for each in value) + field(20, _INTS)
    return field(1, name) + field(3, value) + field(20, _INT)


def _value(name: str, kind: "np.dtype[Any]") -> bytes:
    return field(1, name) + field(2, field(1, field(1, _ELEMENT_TYPES[kind])))
