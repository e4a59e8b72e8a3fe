"""Apply a blur spec to the pixels of one frame: to all of them, or inside regions."""

from dataclasses import replace

from services.blur_worker.engine.effects import pixel_effect
from services.blur_worker.engine.images import Frame
from services.blur_worker.engine.regions import blend, bounding_box, input_box, region_mask
from services.common.domain.spec import BlurSpec


def blur_frame(frame: Frame, spec: BlurSpec) -> Frame:
    """Return the frame with the effect applied; pixels outside the regions stay bit-identical."""
    raster = frame.raster
    effect = pixel_effect(spec.effect, raster)
    if not spec.regions:
        return replace(frame, raster=effect.apply(raster))
    mask = region_mask(spec, raster.size)
    affected = bounding_box(mask)
    if affected is None:
        return frame
    # Compute only the pixels that the regions depend on: the cost grows with the regions, not with the image.
    left, top, right, bottom = box = input_box(affected, effect, raster.size)
    part = raster.crop(box)
    samples = raster.samples.copy()
    blended = blend(part, effect.apply(part), mask[top:bottom, left:right])
    samples[top:bottom, left:right] = blended.samples
    return replace(frame, raster=raster.with_samples(samples))
