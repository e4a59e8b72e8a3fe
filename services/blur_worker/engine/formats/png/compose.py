"""The frames of an animated PNG as they are seen, one on top of the other (clause 13.5, APNG)."""

from collections.abc import Iterable, Iterator

import numpy as np

from services.blur_worker.engine.formats.png.file import PngFrame
from services.blur_worker.engine.raster import Raster, Samples, Size

_CLEAR, _RESTORE = 1, 2


def composed(frames: Iterable[tuple[PngFrame, Raster]], size: Size) -> Iterator[Raster]:
    """Yield each frame as it is displayed.

    Args:
        frames: Each with its pixels, all in one mode.
        size: Of the canvas, which is transparent at first.
    """
    canvas: Raster | None = None
    for frame, stored in frames:
        if canvas is None:
            canvas = _canvas_for(stored, size)
        if frame.disposal == _CLEAR:
            canvas = _with_alpha(canvas)
        pixels = _with_alpha(stored) if canvas.has_alpha else stored
        area = canvas.crop(frame.box).samples
        before = area.copy() if frame.disposal == _RESTORE else None
        if frame.over and pixels.has_alpha:
            _blend(area, pixels.samples, pixels.max_value)
        else:
            area[:] = pixels.samples
        yield canvas.with_samples(canvas.samples.copy())
        if frame.disposal == _CLEAR:
            area[:] = 0
        elif before is not None:
            area[:] = before


def _canvas_for(pixels: Raster, size: Size) -> Raster:
    mode = pixels.mode if pixels.has_alpha or pixels.size == size else f"{pixels.mode}A"
    return Raster(mode, np.zeros((size[1], size[0], len(mode)), pixels.samples.dtype))


def _with_alpha(raster: Raster) -> Raster:
    if raster.has_alpha:
        return raster
    alpha = np.full((*raster.samples.shape[:2], 1), raster.max_value, raster.samples.dtype)
    return Raster(f"{raster.mode}A", np.concatenate([raster.samples, alpha], axis=2))


def _blend(below: Samples, above: Samples, max_value: int) -> None:
    """Blend over what is there, in place; colours are not premultiplied."""
    alpha = above[..., -1]
    opaque = alpha == max_value
    np.copyto(below, above, where=opaque[..., np.newaxis])
    partly = (alpha > 0) & ~opaque
    if not partly.any():
        return
    source, target = above[partly].astype(np.float64), below[partly].astype(np.float64)
    share = source[:, -1:] / max_value
    left = target[:, -1:] / max_value * (1 - share)
    total = share + left
    mixed = np.empty_like(source)
    mixed[:, :-1] = (source[:, :-1] * share + target[:, :-1] * left) / total
    mixed[:, -1:] = total * max_value
    below[partly] = np.rint(mixed)
