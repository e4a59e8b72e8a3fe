"""What the blur worker counts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from services.common.infra.metrics import SECONDS

_IMAGES = Counter("imageblur_images", "Attempts at images by what came of them.", ["outcome", "effect", "path"])
_FAILURES = Counter("imageblur_image_failures", "Images that failed for good.", ["reason"])
_IMAGE_SECONDS = Histogram("imageblur_image_seconds", "From an image's claim to its end.", buckets=SECONDS)
_STAGE_SECONDS = Histogram("imageblur_stage_seconds", "How long stages of images took.", ["stage"], buckets=SECONDS)
_CHILDREN = Gauge("imageblur_blur_children", "Child processes that live.")
_EXPECTED = Gauge("imageblur_blur_children_expected", "Child processes that there should be.")


def image_done(outcome: str, effect: str, path: str, seconds: float, reason: str | None = None) -> None:
    """An attempt at an image has ended; `path`: which of the engine's made it, empty without a result."""
    _IMAGES.labels(outcome, effect, path).inc()
    _IMAGE_SECONDS.observe(seconds)
    if reason:
        _FAILURES.labels(reason).inc()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage of an image."""
    begin = time.monotonic()
    try:
        yield
    finally:
        stage_done(name, time.monotonic() - begin)


def stage_done(name: str, seconds: float) -> None:
    """A stage of an image was timed."""
    _STAGE_SECONDS.labels(name).observe(seconds)


def count_children(expected: int, alive: Callable[[], int]) -> None:
    """Show how many children there should be, and, whenever asked, how many live."""
    _EXPECTED.set(expected)
    _CHILDREN.set_function(alive)
