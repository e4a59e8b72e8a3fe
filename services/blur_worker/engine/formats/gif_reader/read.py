"""Decode a GIF, and compose its frames as they are seen."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine.formats.gif_reader.file import GifFile, GifFrame, parse
from services.blur_worker.engine.formats.gif_reader.lzw import expand, join_sub_blocks
from services.blur_worker.engine.formats.reading import ReadFile, ReadRequest
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.limits import check_size
from services.blur_worker.engine.raster import Raster, Samples

_CLEAR, _RESTORE = 2, {3, 4}
_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))
"""Passes of an interlaced frame: the first row of each, and the rows from one to the next."""
_MAX_CODE_SIZE = 11


def read_gif(data: bytes, request: ReadRequest) -> ReadFile:
    """Decode a file.

    Raises:
        ImageError: TOO_LARGE.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    file = parse(data, request.limits)
    check_size(file.size, request.limits, len(file.frames))
    wanted = file.frames if request.all_frames else file.frames[:1]
    for frame in wanted:
        request.limits.check_pixels((frame.box[2] - frame.box[0]) * (frame.box[3] - frame.box[1]))
    rasters = _composed(data, file, wanted)
    frames = [Frame(raster, frame.milliseconds) for raster, frame in zip(rasters, wanted, strict=True)]
    return ReadFile(frames=frames, described=file.described)


def _composed(data: bytes, file: GifFile, frames: list[GifFrame]) -> Iterator[Raster]:
    """Yield each frame as it is displayed: RGB where every pixel is opaque, else RGBA.

    The screen is transparent at first, and what is cleared becomes so; the background colour is shown by no browser.
    """
    width, height = file.size
    canvas = np.zeros((height, width), np.uint32)  # RGBA as one number: 0 is transparent
    array = np.frombuffer(data, np.uint8)
    scratch = np.empty(len(data), np.uint8)
    for frame in frames:
        left, top, right, bottom = frame.box
        area = canvas[top:bottom, left:right]
        before = area.copy() if frame.disposal in _RESTORE else None
        indices = _indices(array, frame, scratch)[: area.shape[0], : area.shape[1]]
        if indices.size:
            colors = _palette(frame)[indices]
            np.copyto(area, colors, where=colors != 0)
        samples = canvas.view(np.uint8).reshape(height, width, 4)
        yield Raster("RGB", samples[..., :3].copy()) if canvas.all() else Raster("RGBA", samples.copy())
        if frame.disposal == _CLEAR:
            area[:] = 0
        elif before is not None:
            area[:] = before


def _palette(frame: GifFrame) -> NDArray[np.uint32]:
    """RGBA as one number, by index; those beyond the palette, or without one, are black."""
    table = np.zeros((257, 4), np.uint8)
    table[:256, 3] = 255
    colors = np.frombuffer(frame.palette[: len(frame.palette) // 3 * 3], np.uint8).reshape(-1, 3)
    table[: len(colors), :3] = colors
    if frame.transparent is not None:
        table[frame.transparent] = 0
    return table.view(np.uint32)[:, 0]


def _indices(data: Samples, frame: GifFrame, scratch: Samples) -> Samples:
    """Return the indices of a frame: shape (height, width); 256 where the data end early.

    Raises:
        ValueError: The file ends before the frame does.
    """
    width, height = frame.box[2] - frame.box[0], frame.box[3] - frame.box[1]
    code_size = int(data[frame.start]) if frame.start < len(data) else 0
    if not 1 <= code_size <= _MAX_CODE_SIZE:
        raise ValueError("an impossible code size")
    end, count = join_sub_blocks(data, frame.start + 1, scratch)
    out = np.empty(width * height, np.uint8)
    written = int(expand(scratch[: int(count)], code_size, out))
    if written < len(out) and end < 0:
        raise ValueError("pixels are missing")
    indices = out
    if written < len(out):
        indices = out.astype(np.uint16)
        indices[written:] = 256
    rows = indices.reshape(height, width)
    if not frame.interlaced:
        return rows
    order = [row for first, step in _PASSES for row in range(first, height, step)]
    upright = np.empty_like(rows)
    upright[order] = rows
    return upright
