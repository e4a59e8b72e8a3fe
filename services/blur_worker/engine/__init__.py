"""The engine: an encoded image and a blur spec in, the blurred image out, with what was found in it.

No I/O, except that `Detectors` reads models; nothing of the service's own state.

Start at `pipeline.py`. An effect is registered in `effects/__init__.py`, a file format in `formats/__init__.py`.
"""

from services.blur_worker.engine.images import Blurred, FoundRegions
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.pipeline import blur, find_regions
from services.blur_worker.engine.preview import Preview, draw_preview

__all__ = ["Blurred", "FoundRegions", "Limits", "Preview", "blur", "draw_preview", "find_regions"]
