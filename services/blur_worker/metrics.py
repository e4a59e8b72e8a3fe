"""The metrics of the blur worker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from services.common.domain.errors import Reason
from services.common.domain.failures import cause_of
from services.common.domain.findings import CheckState, Inspection
from services.common.infra.metrics import SECONDS

_IMAGES = Counter("imageblur_images", "Attempts at images by outcome.", ["outcome", "effect", "path"])
_FAILURES = Counter(
    "imageblur_image_failures", "Images that failed for good, and whose concern it is.", ["reason", "cause"]
)
_IMAGE_SECONDS = Histogram("imageblur_image_seconds", "From an image's claim to its recorded outcome.", buckets=SECONDS)
_STAGE_SECONDS = Histogram("imageblur_stage_seconds", "Duration of the stages of an image.", ["stage"], buckets=SECONDS)
_FINDINGS = Counter("imageblur_findings", "What was found in images that succeeded.", ["kind", "applied"])
_CHECKS = Counter("imageblur_checks", "Images in which something was to be found, by state of their check.", ["state"])
_STRENGTHENED = Counter("imageblur_checks_strengthened", "Images hidden more strongly after their check.")
for _state in CheckState:  # so that the first REMAINING is seen as an increase
    _CHECKS.labels(_state.value)
_CHILDREN = Gauge("imageblur_blur_children", "Child processes that are alive.")
_EXPECTED = Gauge("imageblur_blur_children_expected", "Child processes that are configured.")

_INSTANT = Counter(
    "imageblur_instant_calls", "Instant calls by outcome; PreviewImage counts as FIND.", ["kind", "outcome"]
)
_INSTANT_SECONDS = Histogram(
    "imageblur_instant_seconds", "From a worker's taking an instant call to its answer.", ["kind"], buckets=SECONDS
)
_INSTANT_RUNNING = Gauge("imageblur_instant_running", "Instant calls that this worker works on.")
_INSTANT_CHILDREN = Gauge("imageblur_instant_children", "Child processes of instant calls that are alive.")

_HEAD_STARTS = Counter(
    "imageblur_head_starts", "Images blurred before their order was complete, by what became of them.", ["outcome"]
)

_FETCHES = Counter("imageblur_fetches", "Attempts to fetch sources by outcome.", ["outcome"])
_FETCH_SECONDS = Histogram("imageblur_fetch_seconds", "From an image's claim to its fetched original.", buckets=SECONDS)


def count_fetch(outcome: str, seconds: float) -> None:
    """Count an attempt to fetch a source."""
    _FETCHES.labels(outcome).inc()
    _FETCH_SECONDS.observe(seconds)


def count_attempt(outcome: str, effect: str, seconds: float, *, path: str = "", reason: str | None = None) -> None:
    """Count an attempt; `path` is the engine's implementation that made the result, `reason` that of a failure."""
    _IMAGES.labels(outcome, effect, path).inc()
    _IMAGE_SECONDS.observe(seconds)
    if reason:
        _FAILURES.labels(reason, cause_of(Reason(reason))).inc()


def count_inspection(inspection: Inspection) -> None:
    """Count the findings of an image, and its check."""
    for finding in inspection.findings:
        _FINDINGS.labels(finding.kind.value, str(finding.applied).lower()).inc()
    _CHECKS.labels(inspection.check.state.value).inc()
    if inspection.check.strengthened:
        _STRENGTHENED.inc()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure the block as a stage of an image."""
    start = time.monotonic()
    try:
        yield
    finally:
        observe_stage(name, time.monotonic() - start)


def observe_stage(name: str, seconds: float) -> None:
    """Record the duration of a stage of an image."""
    _stage(name).observe(seconds)


@cache
def _stage(name: str) -> Histogram:
    return _STAGE_SECONDS.labels(name)


def watch_children(expected: int, alive: Callable[[], int]) -> None:
    """Show how many child processes are configured and, at each scrape, how many are alive."""
    _EXPECTED.set(expected)
    _CHILDREN.set_function(alive)


def count_instant(kind: str, outcome: str, seconds: float) -> None:
    """Count an instant call that has ended."""
    _INSTANT.labels(kind, outcome).inc()
    _INSTANT_SECONDS.labels(kind).observe(seconds)


def count_head_start(outcome: str) -> None:
    """Count what became of an image that a gateway has offered: prepared, and then used or discarded; or failed."""
    _HEAD_STARTS.labels(outcome).inc()


@contextmanager
def instant_call() -> Iterator[None]:
    """Count the block as an instant call that runs."""
    with _INSTANT_RUNNING.track_inprogress():
        yield


def watch_instant_children(alive: Callable[[], int]) -> None:
    """Show at each scrape how many child processes of instant calls are alive."""
    _INSTANT_CHILDREN.set_function(alive)
