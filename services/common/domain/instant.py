"""Instant calls: BlurImage, FindRegions, PreviewImage. Requests and answers, as gateway and worker exchange them."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.common.domain.errors import Reason
from services.common.domain.findings import Inspection
from services.common.domain.spec import BlurSpec, Format


class InstantKind(StrEnum):
    """What an instant call asks for."""

    BLUR = "BLUR"
    FIND = "FIND"
    """A search: of the spec only `find`, `effort` and `output_format` count; without `find`, only a preview is made."""


@dataclass(frozen=True, kw_only=True)
class InstantRequest:
    """One image, and what to do with it."""

    kind: InstantKind
    spec: BlurSpec
    max_result_bytes: int
    """Largest result that can be answered with."""
    preview_side: int = 0
    """Longest side in pixels of the preview that FIND is to draw; 0: none."""
    data: bytes = field(default=b"", repr=False)
    """The encoded image, unless it is in the blob store."""
    blob: str = ""
    """Key of the blob that is the image."""

    def encode(self) -> bytes:
        """Return the request as bytes: a line of JSON, then the image."""
        head = {
            "kind": self.kind,
            "spec": self.spec.to_json(),
            "max_result_bytes": self.max_result_bytes,
            "preview_side": self.preview_side,
            "blob": self.blob,
        }
        return b"%s\n%s" % (json.dumps(head).encode(), self.data)

    @classmethod
    def decode(cls, encoded: bytes) -> "InstantRequest":
        """Return the request that `encode` wrote."""
        head, _, data = encoded.partition(b"\n")
        values = json.loads(head)
        return cls(
            kind=InstantKind(values["kind"]),
            spec=BlurSpec.from_json(values["spec"]),
            max_result_bytes=values["max_result_bytes"],
            preview_side=values.get("preview_side", 0),  # none from a gateway of the version before
            data=data,
            blob=values.get("blob", ""),
        )


@dataclass(frozen=True, kw_only=True)
class InstantAnswer:
    """What was made or found of the image; the result's bytes are apart."""

    width: int
    """Width of the displayed image in pixels; `height` likewise."""
    height: int
    format: Format | None = None
    """Format of the result or the preview; None without one."""
    inspection: Inspection = field(default_factory=Inspection)


@dataclass(frozen=True, kw_only=True)
class InstantRefusal:
    """Why there is no answer."""

    reason: Reason | None
    """Why the image cannot be blurred; None: it is not the image's fault, and the call may be repeated."""
    message: str


class ResultTooLarge(Exception):
    """The result is larger than `max_result_bytes`."""


InstantOutcome = InstantAnswer | InstantRefusal | ResultTooLarge


def outcome_to_json(outcome: InstantOutcome) -> bytes:
    """Return an outcome as JSON."""
    values: dict[str, Any]
    match outcome:
        case InstantAnswer():
            values = {
                "width": outcome.width,
                "height": outcome.height,
                "format": outcome.format,
                "inspection": outcome.inspection.to_json(),
            }
        case InstantRefusal():
            values = {"refused": outcome.message, "reason": outcome.reason}
        case ResultTooLarge():
            values = {"too_large": True}
    return json.dumps(values).encode()


def outcome_from_json(text: str | bytes) -> InstantOutcome:
    """Return the outcome that `outcome_to_json` wrote."""
    values = json.loads(text)
    if "too_large" in values:
        return ResultTooLarge()
    if "refused" in values:
        return InstantRefusal(reason=values["reason"] and Reason(values["reason"]), message=values["refused"])
    return InstantAnswer(
        width=values["width"],
        height=values["height"],
        format=values["format"] and Format(values["format"]),
        inspection=Inspection.from_json(values["inspection"]),
    )
