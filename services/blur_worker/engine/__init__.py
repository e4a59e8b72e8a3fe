"""The engine: an encoded image and a spec in, the blurred image out. Pure: no I/O, nothing of the service."""

from services.blur_worker.engine.blur import blur
from services.blur_worker.engine.picture import Blurred, Limits

__all__ = ["Blurred", "Limits", "blur"]
