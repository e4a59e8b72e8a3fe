"""Apply a blur spec to the pixels of one frame: to all of them, or inside regions."""

from dataclasses import replace

import numpy as np

from services.blur_worker.engine.effects import PixelEffect, pixel_effect
from services.blur_worker.engine.effects.redact import Redaction
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.layers import Layer, layers
from services.blur_worker.engine.raster import Box, Raster
from services.blur_worker.engine.regions import blend, hides_whole, input_box
from services.common.domain.spec import BlurSpec


def blur_frames(frames: list[Frame], spec: BlurSpec) -> None:
    """Blur frames in place, as `blur_frame`: each original is freed as soon as it is blurred."""
    found: list[Layer] | None = None
    for index, frame in enumerate(frames):
        # Regions are drawn once for all frames of an animation: they may have thousands of points.
        if not hides_whole(spec) and (index == 0 or frame.raster.size != frames[index - 1].raster.size):
            found = layers(spec, frame.raster.size)
        frames[index] = blur_frame(frame, spec, found)


def blur_frame(frame: Frame, spec: BlurSpec, found: list[Layer] | None = None, *, in_place: bool = False) -> Frame:
    """Return the frame with the effects applied; pixels outside the regions stay bit-identical.

    An effect reads the image with what stronger effects hide already hidden: no halo brings that back.

    Args:
        frame: To be blurred.
        spec: How.
        found: The layers of the spec for an image of this size, if they are known.
        in_place: Whether to change the frame's own pixels where only regions change.
    """
    raster = frame.raster
    if hides_whole(spec):
        return replace(frame, raster=pixel_effect(spec.effect, raster).apply(raster))
    found = layers(spec, raster.size) if found is None else found
    if not found:
        return frame
    read = raster
    # Irreversible effects, the strongest, come first and read nothing of each other.
    painted = not found[-1].effect.irreversible
    changed: list[Raster] = []
    for count, layer in enumerate(found, 1):
        effect = pixel_effect(layer.effect, raster)
        if isinstance(effect, Redaction):
            changed.append(_redact(raster, layer, effect, found))
        else:
            changed.append(_change(read, layer, effect))
        # Layers of one effect read nothing of each other.
        if painted and count < len(found) and found[count].effect != layer.effect:
            read = _copy(raster) if read is raster else read
            for painted_layer, part in zip(found[:count], changed, strict=True):
                if painted_layer.effect == layer.effect:
                    _paint(read, painted_layer, part)
    result = raster if in_place else _copy(raster)
    for layer, part in zip(reversed(found), reversed(changed), strict=True):
        _paint(result, layer, part)
    return replace(frame, raster=result)


def read_box(layer: Layer, image: Raster) -> Box:
    """Return the part of an image that is read to hide a layer; of the image only its shape is looked at."""
    effect = pixel_effect(layer.effect, image)
    if isinstance(effect, Redaction):
        return effect.surroundings(layer.box, image.size)
    return input_box(layer.box, effect, image.size)


def _change(read: Raster, layer: Layer, effect: PixelEffect) -> Raster:
    """Return the pixels of the layer's box under its effect.

    Only the pixels that these depend on are computed: the cost grows with the regions, not with the image.
    """
    box = input_box(layer.box, effect, read.size)
    return effect.apply(read.crop(box)).crop(_within(layer.box, box))


def _redact(original: Raster, layer: Layer, effect: Redaction, found: list[Layer]) -> Raster:
    """Return what fills the layer's box, computed from the pixels around it that no layer hides."""
    box = effect.surroundings(layer.box, original.size)
    known = np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)
    for other in found:
        left, top, right, bottom = _within(other.box, box)
        first_row, end_row = max(top, 0), min(bottom, known.shape[0])
        first, end = max(left, 0), min(right, known.shape[1])
        if first_row < end_row and first < end:
            hidden = other.mask[first_row - top : end_row - top, first - left : end - left]
            known[first_row:end_row, first:end] &= hidden == 0
    return effect.fill(original.crop(box), known, _within(layer.box, box))


def _within(box: Box, outer: Box) -> Box:
    left, top = outer[:2]
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def _copy(raster: Raster) -> Raster:
    return raster.with_samples(raster.samples.copy())


def _paint(raster: Raster, layer: Layer, changed: Raster) -> Raster:
    """Blend the changed pixels into the raster, in place; return it."""
    left, top, right, bottom = layer.box
    raster.samples[top:bottom, left:right] = blend(raster.crop(layer.box), changed, layer.mask).samples
    return raster
