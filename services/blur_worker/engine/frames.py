"""One frame as pixels: the effect where it is wanted."""

from dataclasses import replace

from services.blur_worker.engine.effects import apply
from services.blur_worker.engine.picture import Frame
from services.blur_worker.engine.regions import blend, mask_of, reached, touched_by
from services.common.domain.spec import BlurSpec


def blur_frame(frame: Frame, spec: BlurSpec) -> Frame:
    """Gives the frame with the effect on the whole of it, or on its regions; outside of them it stays to the bit."""
    raster = frame.raster
    if not spec.regions:
        return replace(frame, raster=apply(spec.effect, raster, raster.size))
    mask = mask_of(spec, raster.size)
    touched = touched_by(mask)
    if touched is None:
        return frame
    # Only the pixels that the regions can see are computed: a face in a large photograph costs what the face costs.
    left, top, right, bottom = area = reached(touched, spec.effect, raster)
    part = raster.cut(area)
    samples = raster.samples.copy()
    changed = blend(part, apply(spec.effect, part, raster.size), mask[top:bottom, left:right])
    samples[top:bottom, left:right] = changed.samples
    return replace(frame, raster=raster.with_samples(samples))
