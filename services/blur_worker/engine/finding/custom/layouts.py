"""The output layouts of YOLO models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.finding.custom.description import OutputLayout
from services.blur_worker.engine.finding.onnx_session import Array


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a model has seen, before overlaps are removed."""

    boxes: Array
    """Shape (n, 4): left, top, right, bottom."""
    scores: Array
    classes: NDArray[np.int64]

    def scaled(self, factor: float, offset: tuple[float, float]) -> "Candidates":
        """Return them with boxes times `factor` plus `offset` (x, y)."""
        boxes = self.boxes * np.float32(factor) + np.array([*offset, *offset], np.float32)
        return Candidates(boxes=boxes, scores=self.scores, classes=self.classes)

    def clipped(self, width: int, height: int) -> "Candidates":
        """Return those that have an area inside an image, clipped to it."""
        boxes = np.clip(self.boxes, 0, np.array([width, height, width, height], np.float32))
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Candidates(boxes=boxes[has_area], scores=self.scores[has_area], classes=self.classes[has_area])

    @staticmethod
    def joined(several: "list[Candidates]") -> "Candidates":
        """Return all of them."""
        return Candidates(
            boxes=np.concatenate([one.boxes for one in several]),
            scores=np.concatenate([one.scores for one in several]),
            classes=np.concatenate([one.classes for one in several]),
        )


def candidates(output: Array, layout: OutputLayout, n_classes: int, min_confidence: float) -> Candidates | None:
    """Return what an output contains, in pixels of the input; None if its shape is not the layout's.

    Args:
        output: The model's first output, with a batch axis of 1.
        layout: How it is arranged.
        n_classes: How many classes the model has.
        min_confidence: Drop what has less.
    """
    columns = {OutputLayout.YOLOV5: 5 + n_classes, OutputLayout.YOLOV8: 4 + n_classes, OutputLayout.END_TO_END: 6}[
        layout
    ]
    if output.ndim != 3 or output.shape[0] != 1:
        return None
    rows = output[0].T if layout is OutputLayout.YOLOV8 else output[0]
    if rows.shape[1] != columns:
        return None
    if layout is OutputLayout.END_TO_END:
        boxes, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5]
        # Padding rows have a class of -1.
        valid = (classes >= 0) & (classes < n_classes)
    else:
        class_scores = rows[:, 5:] * rows[:, 4:5] if layout is OutputLayout.YOLOV5 else rows[:, 4:]
        classes = class_scores.argmax(axis=1)
        scores = class_scores[np.arange(len(rows)), classes]
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
        valid = np.ones(len(rows), np.bool_)
    keep = valid & (scores >= min_confidence) & np.isfinite(boxes).all(axis=1)
    return Candidates(
        boxes=boxes[keep].astype(np.float32),
        scores=scores[keep].astype(np.float32),
        classes=classes[keep].astype(np.int64),
    )


def describe_shape(layout: OutputLayout, n_classes: int) -> str:
    """Return the shape of a layout's output, for messages."""
    return {
        OutputLayout.YOLOV5: f"(1, n, {5 + n_classes})",
        OutputLayout.YOLOV8: f"(1, {4 + n_classes}, n)",
        OutputLayout.END_TO_END: "(1, n, 6)",
    }[layout]
