"""Gaussian blur of pixels, at a cost that does not grow with sigma; exact to a rounding on photographs."""

from dataclasses import dataclass

from services.blur_worker.engine.effects.gaussian.blur import blur
from services.blur_worker.engine.effects.gaussian.kernel import ANY_SCALE, kernel_for, most_scale
from services.blur_worker.engine.raster import Raster

__all__ = ["GaussianBlur", "blur", "kernel_for", "most_scale"]


@dataclass(frozen=True)
class GaussianBlur:
    """A `PixelEffect`."""

    sigma: float
    """Standard deviation in pixels."""
    sample_bytes: int
    at_most: int = ANY_SCALE
    """The largest `Kernel.scale`: it depends on the size of the whole image."""

    @property
    def grid(self) -> int:
        """See `PixelEffect`: pixels are averaged in groups of this size."""
        return kernel_for(self.sigma, self.sample_bytes, self.at_most).scale

    @property
    def margin(self) -> int:
        """See `PixelEffect`."""
        return kernel_for(self.sigma, self.sample_bytes, self.at_most).reach

    def apply(self, raster: Raster) -> Raster:
        """Blur; with alpha, colours are blurred premultiplied."""
        return raster.with_samples(blur(raster.samples, self.sigma, alpha=raster.has_alpha, at_most=self.at_most))
