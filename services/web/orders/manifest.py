"""What the pages say of an order before its bytes: JSON or form fields, turned into the interface's terms."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import BlurSpec, Gaussian, ImageFormat, Pixelate, Rect, Region, Solid

from services.web.http.languages import Texts

MAX_BYTES = 8 << 20
"""Largest manifest: 10,000 images with a region or two each have about two million."""
EFFECTS = ("gaussian", "pixelate", "solid")
FORMATS = ("", "JPEG", "PNG", "WEBP", "AVIF")
DEFAULT_STRENGTH = 2.0
"""In per cent of an image's shorter side: a large picture is blurred as much as a small one."""
LEAST_STRENGTH, MOST_STRENGTH = 0.1, 30.0


class BadManifest(ValueError):
    """It is not one that these pages make."""


@dataclass(frozen=True)
class Announced:
    """An image that follows."""

    start: pb.ImageStart

    @property
    def size(self) -> int:
        """In bytes."""
        return self.start.size_bytes


@dataclass(frozen=True)
class Manifest:
    """An order that follows."""

    header: pb.OrderHeader
    images: list[Announced]

    def start(self) -> pb.StreamBlurOrderRequest:
        """The first message of its upload."""
        return pb.StreamBlurOrderRequest(start=pb.OrderStart(order=self.header, image_count=len(self.images)))

    def dry_run(self) -> pb.BlurOrderRequest:
        """A request that is refused for the same reasons, as far as they do not lie in the bytes."""
        images = [
            pb.InputImage(
                filename=image.start.filename,
                data=b"?",
                spec=image.start.spec if image.start.HasField("spec") else None,
            )
            for image in self.images
        ]
        return pb.BlurOrderRequest(order=self.header, images=images)


def parse(text: bytes, texts: Texts) -> Manifest:
    """A manifest as the order page's script sends it.

    Raises:
        BadManifest: It is malformed.
    """
    try:
        data = json.loads(text)
        header = pb.OrderHeader(
            email=str(data["email"]).strip(),
            notify=bool(data["notify"]),
            locale=texts.language,
            request_id=str(data["request_id"]),
            spec=spec_of(data["spec"]),
        )
        images = [_image(image) for image in data["images"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BadManifest(f"not a manifest: {error!r}") from None
    return Manifest(header, images)


def _image(data: Mapping[str, Any]) -> Announced:
    size = int(data["size"])
    if size < 0:
        raise ValueError("size")
    own = data.get("spec")
    return Announced(pb.ImageStart(filename=str(data["name"]), size_bytes=size, spec=spec_of(own) if own else None))


def spec_of(data: Mapping[str, Any]) -> BlurSpec:
    """How to blur, from an object or from form fields.

    Raises:
        ValueError, KeyError, TypeError: It is malformed.
    """
    strength = float(data.get("strength") or DEFAULT_STRENGTH)
    fraction = min(max(strength, LEAST_STRENGTH), MOST_STRENGTH) / 100
    output = str(data.get("format") or "")
    spec = BlurSpec(
        regions=[_region(region) for region in data.get("regions", ())],
        invert_regions=bool(data.get("outside")) and bool(data.get("regions")),
        output_format=ImageFormat.Value(f"IMAGE_FORMAT_{output or 'UNSPECIFIED'}"),
        keep_metadata=bool(data.get("keep_metadata")),
    )
    match data.get("effect", "gaussian"):
        case "gaussian":
            spec.gaussian.CopyFrom(Gaussian(sigma_relative=fraction))
        case "pixelate":
            spec.pixelate.CopyFrom(Pixelate(cell_relative=fraction))
        case "solid":
            spec.solid.CopyFrom(Solid(color=str(data.get("color") or "#000000")))
        case other:
            raise ValueError(f"no effect {other!r}")
    return spec


def _region(data: Mapping[str, Any]) -> Region:
    left, top = (min(max(float(data[side]), 0.0), 1.0) for side in ("left", "top"))
    # What a browser adds up is not exactly 1.
    rect = Rect(
        left=left, top=top, width=min(float(data["width"]), 1.0 - left), height=min(float(data["height"]), 1.0 - top)
    )
    return Region(ellipse=rect) if data.get("shape") == "ellipse" else Region(box=rect)
