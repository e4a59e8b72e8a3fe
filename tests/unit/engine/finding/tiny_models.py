"""Tiny ONNX models that find red squares of 16 × 16 pixels on a grid of 8, in each of the layouts."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
_CELL = 8
_CELLS = SIDE // _CELL


def write_model(folder: Path, layout: str, *, name: str = "red", labels: tuple[str, ...] = ("red square",)) -> Path:
    """Write the ONNX file and its description; return the path of the description."""
    nodes = [
        # How red each cell is, and nothing else: 1 for pure red, below 0 for grey.
        helper.make_node("AveragePool", ["images"], ["means"], kernel_shape=[_CELL, _CELL], strides=[_CELL, _CELL]),
        helper.make_node("Conv", ["means", "redness"], ["scores"]),
        helper.make_node("Reshape", ["scores", "shape"], ["row"]),
    ]
    constants = {"redness": np.array([1, -0.5, -0.5], np.float32).reshape(1, 3, 1, 1)}
    y, x = (np.mgrid[:_CELLS, :_CELLS].reshape(2, -1) * _CELL + _CELL / 2).astype(np.float32)
    if layout == "yolov8":
        constants["shape"] = np.array([1, 1, -1], np.int64)
        constants["boxes"] = np.stack([x, y, np.full_like(x, 16), np.full_like(x, 16)])[np.newaxis]
        nodes.append(helper.make_node("Concat", ["boxes", "row"], ["output"], axis=1))
    else:
        constants["shape"] = np.array([1, -1, 1], np.int64)
        corners = [x - 8, y - 8, x + 8, y + 8]
        boxes = corners if layout == "end_to_end" else [x, y, np.full_like(x, 16), np.full_like(x, 16)]
        constants["boxes"] = np.stack(boxes, axis=1)[np.newaxis]
        # After the score: the class of END_TO_END is 0, the only class score of YOLOV5 is 1.
        constants["last"] = np.full((1, len(x), 1), 0 if layout == "end_to_end" else 1, np.float32)
        nodes.append(helper.make_node("Concat", ["boxes", "row", "last"], ["output"], axis=2))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / f"{name}.onnx"))
    path = folder / f"{name}.toml"
    path.write_text(description(name=f'"{name}"', layout=f'"{layout}"', labels=str(list(labels)).replace("'", '"')))
    return path


def description(**changes: str | None) -> str:
    """Return a description in TOML, with values (in TOML) changed, added or, if None, left out."""
    values: dict[str, str | None] = {
        "name": '"red"',
        "version": '"1.0"',
        "license": '"MIT"',
        "labels": '["red square"]',
        "layout": '"yolov8"',
        "input_size": f"[{SIDE}, {SIDE}]",
        "min_confidence": "0.5",
    }
    return "\n".join(f"{key} = {value}" for key, value in (values | changes).items() if value is not None)
