"""Apply a blur spec to the pixels of one frame: to all of them, or inside regions."""

from dataclasses import replace

from services.blur_worker.engine.effects import pixel_effect
from services.blur_worker.engine.effects.redact import Redaction
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.layers import Layer, layers
from services.blur_worker.engine.raster import Box, Raster
from services.blur_worker.engine.regions import blend, hides_whole, input_box
from services.common.domain.spec import BlurSpec


def blur_frame(frame: Frame, spec: BlurSpec) -> Frame:
    """Return the frame with the effects applied; pixels outside the regions stay bit-identical.

    An effect reads the image with what stronger effects hide already hidden: no halo brings that back.
    """
    raster = frame.raster
    if hides_whole(spec):
        return replace(frame, raster=pixel_effect(spec.effect, raster).apply(raster))
    found = layers(spec, raster.size)
    if not found:
        return frame
    visible = raster  # to the effects
    changed = []
    for layer in found:
        changed.append(_change(visible, layer))
        if layer is not found[-1]:
            visible = _paint(visible if changed[1:] else _copy(visible), layer, changed[-1])
    result = _copy(raster)
    for layer, part in zip(reversed(found), reversed(changed), strict=True):
        _paint(result, layer, part)
    return replace(frame, raster=result)


def _change(visible: Raster, layer: Layer) -> Raster:
    """Return the pixels of the layer's box under its effect.

    Only the pixels that these depend on are computed: the cost grows with the regions, not with the image.
    """
    effect = pixel_effect(layer.effect, visible)
    if isinstance(effect, Redaction):
        return effect.apply_within(visible.crop(layer.box), layer.mask > 0)
    box = input_box(layer.box, effect, visible.size)
    return effect.apply(visible.crop(box)).crop(_within(layer.box, box))


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
