"""What a child process does for an instant call: bytes in, bytes and facts out, nothing on a disk."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from services.blur_worker.child.process import ChildLimits, make_detectors
from services.common.domain.errors import ImageBlurError, ImageError, Reason
from services.common.domain.findings import Inspection
from services.common.domain.instant import (
    InstantAnswer,
    InstantKind,
    InstantOutcome,
    InstantRequest,
    ResultTooLarge,
    outcome_from_json,
    outcome_to_json,
)
from services.common.domain.spec import BlurSpec

if TYPE_CHECKING:
    from services.blur_worker.engine.finding.registry import Detectors


@dataclass(frozen=True, kw_only=True)
class InstantResult:
    """What a child process has made: a `ChildAnswer`."""

    outcome: InstantOutcome
    data: bytes = field(default=b"", repr=False)
    """Bytes of the result; empty without one."""
    width: int
    """Width of the image in pixels; `height` likewise."""
    height: int

    def to_values(self) -> tuple[dict[str, Any], bytes]:
        """See `ChildAnswer`."""
        outcome = outcome_to_json(self.outcome).decode()
        return {"outcome": outcome, "width": self.width, "height": self.height}, self.data

    @classmethod
    def from_values(cls, values: dict[str, Any], data: bytes) -> "InstantResult":
        """See `ChildAnswer`."""
        outcome = outcome_from_json(values["outcome"])
        return cls(outcome=outcome, data=data, width=int(values["width"]), height=int(values["height"]))


@dataclass(frozen=True)
class StoredRequest:
    """A request whose image is an open file."""

    request: InstantRequest
    descriptors: tuple[int, ...]
    """Descriptor of the file, open for reading."""

    @property
    def spec(self) -> BlurSpec:
        """See `Task`."""
        return self.request.spec

    def load(self) -> InstantRequest:
        """Return the request with its image. Raises: OSError."""
        with open(self.descriptors[0], "rb", closefd=False) as file:
            return replace(self.request, data=file.read())


def run_instant(task: InstantRequest | StoredRequest, limits: ChildLimits) -> InstantResult:
    """Do what a request asks for.

    Raises:
        ImageError: The image cannot be blurred.
        MemoryError: The process reached its memory limit.
    """
    request = task.load() if isinstance(task, StoredRequest) else task
    try:
        return _find(request, limits) if request.kind is InstantKind.FIND else _blur(request, limits)
    except ImageError:
        raise
    except ImageBlurError as error:  # this worker lacks what the spec asks for
        raise ImageError(Reason.UNSUPPORTED, str(error)) from None


def _find(request: InstantRequest, limits: ChildLimits) -> InstantResult:
    from services.blur_worker import engine  # noqa: PLC0415 - never in the parent

    engine_limits, inspection = limits.of_engine(), Inspection()
    preview = None
    if request.preview_side:
        preview = engine.draw_preview(request.data, request.preview_side, engine_limits, request.max_result_bytes)
    if preview and not request.spec.find:
        width, height = preview.width, preview.height
    else:
        found = engine.find_regions(request.data, request.spec, engine_limits, _detectors(limits))
        width, height, inspection = found.width, found.height, Inspection(findings=found.findings)
    answer = InstantAnswer(
        width=width, height=height, format=preview.format if preview else None, inspection=inspection
    )
    return InstantResult(outcome=answer, data=preview.data if preview else b"", width=width, height=height)


def _blur(request: InstantRequest, limits: ChildLimits) -> InstantResult:
    from services.blur_worker import engine  # noqa: PLC0415 - never in the parent

    # Only what is to be found needs detectors, which take time and memory to load.
    detectors = _detectors(limits) if request.spec.find else None
    blurred = engine.blur(request.data, request.spec, limits.of_engine(), detectors)
    width, height = blurred.width, blurred.height
    if len(blurred.data) > request.max_result_bytes:
        return InstantResult(outcome=ResultTooLarge(), width=width, height=height)
    answer = InstantAnswer(width=width, height=height, format=blurred.format, inspection=blurred.inspection)
    return InstantResult(outcome=answer, data=blurred.data, width=width, height=height)


def _detectors(limits: ChildLimits) -> "Detectors":
    return make_detectors(limits.finding and limits.finding.models_folder)
