"""Draws findings into an image. Pillow does it, which the client needs for nothing else."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import typer
from imageblur.v1.order_pb2 import Finding

_COLOR = "#ff2d55"


def draw_findings(preview: bytes, findings: Iterable[Finding], target: Path) -> None:
    """Write the server's preview of an image with a frame around each finding.

    Raises:
        OSError: The target cannot be written.
    """
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - optional
    except ImportError:
        raise typer.BadParameter("needs Pillow: pip install pillow", param_hint="--draw") from None
    with Image.open(BytesIO(preview)) as opened:
        shown = opened.convert("RGB")
    drawing = ImageDraw.Draw(shown)
    width, height = shown.size
    line = max(2, min(width, height) // 250)
    for finding in findings:
        box = finding.box
        left, top = box.left * width, box.top * height
        drawing.rectangle((left, top, left + box.width * width, top + box.height * height), outline=_COLOR, width=line)
    shown.save(target)
