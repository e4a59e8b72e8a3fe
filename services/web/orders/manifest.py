"""An order before its bytes: JSON of the script, or form fields, converted to messages of the gateway."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import (
    BlurSpec,
    Find,
    FindingKind,
    Gaussian,
    ImageFormat,
    Pixelate,
    Point,
    Rect,
    Redact,
    Region,
    Solid,
    Stroke,
)

MAX_BYTES = 4 << 20
"""A manifest of 10,000 images with a region or two each has about two million bytes."""
MAX_REGIONS = 20_000
"""In a manifest: as many as the gateway accepts in the message that checks it, by default."""
EFFECTS = ("gaussian", "pixelate", "solid", "redact")
FORMATS = ("", "JPEG", "PNG", "WEBP", "AVIF")
FINDABLE = {
    "faces": FindingKind.FINDING_KIND_FACE,
    "text": FindingKind.FINDING_KIND_TEXT,
    "codes": FindingKind.FINDING_KIND_CODE,
}
"""What the page offers to find, if the server can: names of checkboxes are `find_` and one of these."""
DEFAULT_STRENGTH = 2.0
"""In per cent of an image's shorter side, so that the effect looks the same at any size."""
MIN_STRENGTH, MAX_STRENGTH = 0.1, 30.0


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
            pb.InputImage(
                filename=image.filename,
                data=b"?",
                spec=image.spec if image.HasField("spec") else None,
            )
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
            request_id=str(data["request_id"]),
            spec=spec_of(data["spec"]),
        )
        images = [_image(image) for image in data["images"]]
    except BadManifest:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BadManifest(f"not a manifest: {error!r}") from None
    return Manifest(header, images)


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


def spec_of(data: Mapping[str, Any]) -> BlurSpec:
    """Return the blur spec of a JSON object or of form fields.

    Raises:
        ValueError, KeyError, TypeError: It is malformed.
    """
    strength = float(data.get("strength") or DEFAULT_STRENGTH)
    fraction = min(max(strength, MIN_STRENGTH), MAX_STRENGTH) / 100
    output = str(data.get("format") or "")
    wanted = data.get("find", [name for name in FINDABLE if data.get(f"find_{name}")])
    spec = BlurSpec(
        find=[Find(kind=FINDABLE[name]) for name in wanted],
        regions=[_region(region) for region in data.get("regions", ())],
        invert_regions=bool(data.get("outside")) and bool(data.get("regions") or wanted),
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
        case "redact":
            spec.redact.CopyFrom(Redact())
        case other:
            raise ValueError(f"unknown effect {other!r}")
    return spec


def _region(data: Mapping[str, Any]) -> Region:
    padding, feather = float(data.get("padding") or 0), float(data.get("feather") or 0)
    region = Region(padding=padding, feather=feather)
    match data.get("shape", "box"):
        case "polygon":
            region.polygon.points.extend(map(_point, data["points"]))
        case "brush":
            strokes = (
                Stroke(points=map(_point, each["points"]), width=float(each["width"])) for each in data["strokes"]
            )
            region.brush.strokes.extend(strokes)
        case "ellipse":
            region.ellipse.CopyFrom(_rect(data))
        case _:
            region.box.CopyFrom(_rect(data))
    return region


def _rect(data: Mapping[str, Any]) -> Rect:
    left, top = (_fraction(data[side]) for side in ("left", "top"))
    # Rounding in the browser may put an edge slightly beyond 1.
    width, height = min(float(data["width"]), 1.0 - left), min(float(data["height"]), 1.0 - top)
    return Rect(left=left, top=top, width=width, height=height)


def _point(data: Sequence[Any]) -> Point:
    x, y = data
    return Point(x=_fraction(x), y=_fraction(y))


def _fraction(value: Any) -> float:
    return min(max(float(value), 0.0), 1.0)
