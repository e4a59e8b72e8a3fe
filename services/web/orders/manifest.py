"""An order before its bytes: JSON of the script, or form fields, converted to messages of the gateway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import blur_service_pb2 as pb

from services.web.orders.spec_values import spec_of

MAX_BYTES = 4 << 20
"""A manifest of 10,000 images with a region or two each has about two million bytes."""
KEEP_SECONDS = 3600
"""For how long the page offers to keep originals."""
MAX_REGIONS = 20_000
"""In a manifest: as many as the gateway accepts in the message that checks it, by default."""


class BadManifest(ValueError):
    """The manifest is malformed, or `too_large`."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.too_large = too_large


@dataclass(frozen=True)
class Manifest:
    """An order whose images follow."""

    header: pb.OrderHeader
    images: list[pb.ImageStart]

    def start(self) -> pb.StreamBlurOrderRequest:
        """Return the first message of the upload."""
        return pb.StreamBlurOrderRequest(start=pb.OrderStart(order=self.header, image_count=len(self.images)))

    def dry_run(self) -> pb.BlurOrderRequest:
        """Return a request that fails the same validation, except for the content of the images."""
        images = [
            pb.InputImage(filename=image.filename, data=b"?", spec=image.spec if image.HasField("spec") else None)
            for image in self.images
        ]
        return pb.BlurOrderRequest(order=self.header, images=images)


def parse(text: bytes, language: str) -> Manifest:
    """Parse the manifest that the form's script sends.

    Raises:
        BadManifest: It is malformed, or too large.
    """
    try:
        data = json.loads(text)
        _check_regions(data)
        header = pb.OrderHeader(
            email=str(data["email"]).strip(),
            notify=bool(data["notify"]),
            locale=language,
            keep_originals_for=parse_kept(data.get("keep_originals")),
            request_id=str(data["request_id"]),
            spec=spec_of(data["spec"]),
        )
        images = [_image(image) for image in data["images"]]
    except BadManifest:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BadManifest(f"not a manifest: {error!r}") from None
    return Manifest(header, images)


def parse_kept(seconds: object) -> Duration | None:
    """Return for how long originals are to be kept; None if they are not. Raises: ValueError: It is no number."""
    kept = min(int(str(seconds)), KEEP_SECONDS) if seconds else 0
    return Duration(seconds=kept) if kept > 0 else None


def _check_regions(data: Mapping[str, Any]) -> None:
    specs = [data["spec"], *(image.get("spec") for image in data["images"])]
    if sum(len(spec.get("regions") or ()) for spec in specs if spec) > MAX_REGIONS:
        raise BadManifest("too many regions", too_large=True)


def _image(data: Mapping[str, Any]) -> pb.ImageStart:
    size = int(data["size"])
    if size < 0:
        raise ValueError("negative size")
    own = data.get("spec")
    return pb.ImageStart(filename=str(data["name"]), size_bytes=size, spec=spec_of(own) if own else None)
