"""Gaussian blur of pixels: exact to a rounding on photographs, and of a cost that does not grow with sigma."""

import numpy as np

from services.blur_worker.engine import compiling
from services.blur_worker.engine.gaussian import compiled, plain
from services.blur_worker.engine.gaussian.scheme import Scheme, scheme_of
from services.blur_worker.engine.raster import Samples

__all__ = ["Scheme", "blur", "scheme_of"]


def blur(samples: Samples, sigma: float, *, alpha: bool) -> Samples:
    """Blurs stored values, whatever they mean; edges are mirrored, the border pixel included (`d c b a | a b c d`).

    Args:
        samples: (height, width, channels), 8 or 16 bits.
        sigma: Standard deviation in pixels, > 0.
        alpha: Whether the last channel weighs the others: what lies unseen under transparent pixels must not bleed into
            the seen ones. Where the result is quite transparent its colours are 0.
    """
    alpha = alpha and bool((samples[..., -1] != np.iinfo(samples.dtype).max).any())
    how = compiled.blur if compiling.AVAILABLE else plain.blur
    return how(samples, scheme_of(sigma, samples.itemsize), alpha=alpha)
