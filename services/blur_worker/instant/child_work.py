"""What a child process does for an instant call: bytes in, bytes and facts out, nothing on a disk."""

import importlib
from dataclasses import dataclass, field
from typing import Any

from services.blur_worker.child_process import ChildLimits, make_detectors
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


@dataclass(frozen=True, kw_only=True)
class InstantResult:
    """What a child process has made: an `Answer`."""

    outcome: InstantOutcome
    data: bytes = field(default=b"", repr=False)
    """Of the result; empty without one."""
    width: int
    """Of the image in pixels, like `height`."""
    height: int

    def to_values(self) -> tuple[dict[str, Any], bytes]:
        """See `Answer`."""
        outcome = outcome_to_json(self.outcome).decode()
        return {"outcome": outcome, "width": self.width, "height": self.height}, self.data

    @classmethod
    def from_values(cls, values: dict[str, Any], data: bytes) -> "InstantResult":
        """See `Answer`."""
        outcome = outcome_from_json(values["outcome"])
        return cls(outcome=outcome, data=data, width=int(values["width"]), height=int(values["height"]))


def run_instant(request: InstantRequest, limits: ChildLimits) -> InstantResult:
    """Do what a request asks for.

    Raises:
        ImageError: The image cannot be blurred.
        MemoryError: The process reached its memory limit.
    """
    engine = importlib.import_module("services.blur_worker.engine")  # never in the parent
    # Only what is to be found needs detectors, which take time and memory to load.
    options: dict[str, Any] = {}
    if request.spec.find:
        options["detectors"] = make_detectors(limits.finding and limits.finding.models_folder)
    limit = engine.Limits(max_pixels=limits.max_pixels)
    try:
        if request.kind is InstantKind.FIND:
            spec = request.spec
            found = engine.find_regions(request.data, spec.find, spec.effort, limit, **options)
            answer = InstantAnswer(
                width=found.width, height=found.height, inspection=Inspection(findings=tuple(found.findings))
            )
            return InstantResult(outcome=answer, width=found.width, height=found.height)
        blurred = engine.blur(request.data, request.spec, limit, **options)
    except ImageError:
        raise
    except ImageBlurError as error:  # this worker lacks what the spec asks for
        raise ImageError(Reason.UNSUPPORTED, str(error)) from None
    width, height = blurred.width, blurred.height
    if len(blurred.data) > request.max_result_bytes:
        return InstantResult(outcome=ResultTooLarge(), width=width, height=height)
    answer = InstantAnswer(
        width=width,
        height=height,
        format=blurred.format,
        inspection=getattr(blurred, "inspection", Inspection()),
    )
    return InstantResult(outcome=answer, data=blurred.data, width=width, height=height)
