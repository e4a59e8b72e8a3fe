"""An image as the review shows it: what is hidden in it, and why a person should look."""

from dataclasses import dataclass
from typing import Any

from imageblur.v1.order_pb2 import BlurSpec, Finding, FindingKind, Image, Rect, Region

from services.web.enums import short_name
from services.web.http.languages import Texts
from services.web.orders.review.corrections import hides_whole_image
from services.web.orders.review.doubts import Doubt, is_unsure
from services.web.orders.view import ImageView

LARGEST_SIDE = 8192
"""Longest side of a drawing, in pixels: as large as the gateway draws."""
BASE_DIGITS = 16
"""Hexadecimal digits of a result's SHA-256 that identify what a correction is based on."""


@dataclass(frozen=True)
class Box:
    """Something that is hidden, or could be: a finding, or a region of the spec."""

    field: str
    """Name of its checkbox: `hide` for findings, `keep` for regions."""
    index: int
    """Among the image's findings, or among the spec's regions."""
    number: int
    """As people see it, from 1."""
    label: str
    on: bool
    unsure: bool
    rect: Rect
    round: bool


@dataclass(frozen=True)
class ReviewedImage:
    """An image for the templates and the script of the review."""

    image: Image
    order_id: str
    spec: BlurSpec
    doubts: list[Doubt]
    texts: Texts

    @property
    def card(self) -> ImageView:
        """The image as on the order's page."""
        return ImageView(self.image, self.order_id)

    @property
    def url(self) -> str:
        """The URL of its page."""
        return f"/orders/{self.order_id}/review/{self.image.image_id}"

    @property
    def name(self) -> str:
        """Its file name, or a number."""
        return self.image.filename or self.texts("no_name", n=self.image.position)

    @property
    def before(self) -> str:
        """The URL of the drawn original; empty if it is no image."""
        if self.card.state == "failed" and self.card.reason in {"not_an_image", "unsupported", "corrupt"}:
            return ""
        return f"{self.card.url}/preview"

    @property
    def after(self) -> str:
        """The URL of the result, drawn if it is large or browsers cannot show it; empty without a result."""
        if not self.card.done:
            return ""
        if self.card.has_thumbnail:
            return self.card.shown
        return f"{self.card.url}/preview?source=result&v={self.base}"

    @property
    def full_after(self) -> str:
        """As `after`, with all pixels."""
        if self.card.viewable:
            return self.card.shown
        return f"{self.after}&max_side={LARGEST_SIDE}" if self.after else ""

    @property
    def base(self) -> str:
        """Which result a correction of the image is based on."""
        return self.image.output_sha256.hex()[:BASE_DIGITS]

    @property
    def whole(self) -> bool:
        """Whether the whole image is blurred, so that there is nothing to choose."""
        return hides_whole_image(self.spec)

    @property
    def boxes(self) -> list[Box]:
        """Findings, then regions."""
        regions = [(index, _rect_of(region)) for index, region in enumerate(self.spec.regions)]
        number = len(self.image.findings)
        return [self._finding(index, finding) for index, finding in enumerate(self.image.findings)] + [
            Box(
                field="keep",
                index=index,
                number=number + index + 1,
                label=self.texts("review_region", n=index + 1),
                on=True,
                unsure=False,
                rect=rect,
                round=self.spec.regions[index].WhichOneof("shape") == "ellipse",
            )
            for index, rect in regions
        ]

    def _finding(self, index: int, finding: Finding) -> Box:
        kind = short_name(FindingKind, finding.kind)
        label = finding.label or self.texts(f"review_kind_{kind}")
        percent = self.texts("review_percent", percent=int(100 * finding.confidence))
        return Box(
            field="hide",
            index=index,
            number=index + 1,
            label=f"{label}, {percent}",
            on=finding.applied,
            unsure=is_unsure(finding, self.spec),
            rect=finding.box,
            round=finding.region.WhichOneof("shape") == "ellipse",
        )

    def for_script(self) -> dict[str, Any]:
        """Return what the script needs, as values for JSON."""
        return {
            "id": self.image.image_id,
            "position": self.image.position,
            "name": self.name,
            "state": self.card.state,
            "stateText": self.texts(f"image_{self.card.state}"),
            "reason": self.texts.get(f"reason_{self.card.reason}", "") if self.card.state == "failed" else "",
            "doubts": [self.texts(f"review_doubt_{doubt.key}") for doubt in self.doubts],
            "before": self.before,
            "fullBefore": f"{self.before}?max_side={LARGEST_SIDE}",
            "after": self.after,
            "fullAfter": self.full_after,
            "base": self.base,
            "whole": self.whole,
            "outside": self.spec.invert_regions,
            "boxes": [
                {
                    "field": box.field,
                    "index": box.index,
                    "number": box.number,
                    "label": box.label,
                    "on": box.on,
                    "unsure": box.unsure,
                    "rect": _corners(box.rect),
                    "round": box.round,
                }
                for box in self.boxes
            ],
            "remaining": [_corners(finding.box) for finding in self.image.check.remaining],
        }


def _corners(rect: Rect) -> list[float]:
    return [round(value, 5) for value in (rect.left, rect.top, rect.width, rect.height)]


def _rect_of(region: Region) -> Rect:
    """Return the box around a region."""
    match region.WhichOneof("shape"):
        case "box":
            return region.box
        case "ellipse":
            return region.ellipse
        case "polygon":
            points = [(point.x, point.y) for point in region.polygon.points]
        case "brush":
            points = [(point.x, point.y) for stroke in region.brush.strokes for point in stroke.points]
        case _:
            points = []
    if not points:
        return Rect(left=0, top=0, width=1, height=1)
    across, down = [x for x, _ in points], [y for _, y in points]
    left, top = min(across), min(down)
    return Rect(left=left, top=top, width=max(across) - left, height=max(down) - top)
