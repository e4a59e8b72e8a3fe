"""An order as its page shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from imageblur.v1.order_pb2 import (
    BlurSpec,
    CheckState,
    DeliveryState,
    FailureReason,
    Image,
    ImageState,
    Order,
    OrderState,
)

from services.common.domain.spec import EFFECTS, OUTPUT_FORMATS, Format
from services.web.enums import short_name
from services.web.http.languages import Texts
from services.web.http.templates import PageRenderer
from services.web.orders.review.doubts import Doubt, doubts_of
from services.web.orders.spec_values import MIN_STRENGTH, effect_values

MAX_THUMBNAIL_BYTES = 2_000_000
"""Larger results have no thumbnail, because the browser would download the whole result for it."""
_ON_CARDS = {Doubt.NOT_REVISED, Doubt.STRENGTHENED, Doubt.UNSURE}
_BROWSER_TYPES = {format_.media_type for format_ in OUTPUT_FORMATS if format_ is not Format.TIFF}


def order_state(order: Order) -> str:
    """Return the name of an order's state: `queued`, `running` and so on."""
    return short_name(OrderState, order.state)


def is_open(order: Order) -> bool:
    """Return whether images of an order are unfinished."""
    return order_state(order) in {"queued", "running"}


def is_settled(order: Order) -> bool:
    """Return whether neither the order nor its deliveries change any more without a request."""
    return not is_open(order) and not any(_in_delivery(delivery.state) for delivery in order.deliveries)


def _in_delivery(state: DeliveryState.ValueType) -> bool:
    return short_name(DeliveryState, state) in {"waiting", "queued", "sending"}


@dataclass(frozen=True)
class ImageView:
    """An image for the templates."""

    image: Image
    order_id: str

    @property
    def state(self) -> str:
        """The name of its state: `queued`, `running` and so on."""
        return short_name(ImageState, self.image.state)

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.state == "succeeded"

    @property
    def reason(self) -> str:
        """The name of the reason of its failure."""
        return short_name(FailureReason, self.image.failure.reason)

    @property
    def check(self) -> str:
        """The state of its check: `clean`, `remaining`; `not_checked` only if something was found; else empty."""
        state = short_name(CheckState, self.image.check.state)
        return "" if state == "not_checked" and not self.image.findings else state

    @property
    def hidden(self) -> int:
        """How many findings were hidden."""
        return sum(finding.applied for finding in self.image.findings)

    @property
    def doubts(self) -> list[Doubt]:
        """Why a person should look at it, as far as the card does not show it anyway."""
        return [doubt for doubt in doubts_of(self.image) if doubt in _ON_CARDS]

    @property
    def url(self) -> str:
        """The URL of its result."""
        return f"/orders/{self.order_id}/images/{self.image.image_id}"

    @property
    def shown(self) -> str:
        """The URL under which pages show the result: another one after each revision, or the former would stay."""
        return f"{self.url}?v={self.image.output_sha256.hex()[:16]}"

    @property
    def viewable(self) -> bool:
        """Whether browsers can show the result."""
        return self.done and self.image.media_type in _BROWSER_TYPES

    @property
    def has_thumbnail(self) -> bool:
        """Whether the page shows the result beside its name."""
        return self.viewable and self.image.output_bytes <= MAX_THUMBNAIL_BYTES


def image_views(order: Order, images: Iterable[Image]) -> list[ImageView]:
    """Return images for the templates."""
    return [ImageView(image, order.order_id) for image in images]


@dataclass(frozen=True)
class OrderFragments:
    """Renders the parts of an order's page that change."""

    pages: PageRenderer
    texts: Texts
    spec: BlurSpec
    """Spec of the order: changes come without it."""

    def summary(self, order: Order) -> str:
        """Render state, progress and delivery."""
        return self.pages.fragment(self.texts, "orders/summary.html", **order_values(order))

    def actions(self, order: Order) -> str:
        """Render the buttons."""
        return self.pages.fragment(self.texts, "orders/actions.html", **order_values(order), **action_values(self.spec))

    def image(self, view: ImageView) -> str:
        """Render one image."""
        return self.pages.fragment(self.texts, "orders/image.html", view=view)

    def announcement(self, order: Order) -> str:
        """Return the progress as sentences for screen readers: what has come of the images, not only how many ended."""
        counts = order.counts
        sentences = [] if is_open(order) else [self.texts(f"state_{order_state(order)}") + "."]
        sentences.append(self.texts("announce_progress", done=counts.succeeded, total=counts.total))
        for name, number in (("failed", counts.failed), ("cancelled", counts.cancelled)):
            if number:
                sentences.append(self.texts(f"count_{name}", n=number) + ".")
        return " ".join(sentences)

    def title(self, order: Order) -> str:
        """Return the title of the page: in a tab of many, its beginning is all that can be seen."""
        return f"{order_title(self.texts, order)} · ImageBlur"


def order_title(texts: Texts, order: Order) -> str:
    """Return the percentage of an open order, or the state of another one."""
    if not is_open(order):
        return f"{texts(f'state_{order_state(order)}')} · {texts('status_title')}"
    counts = order.counts
    ended = counts.succeeded + counts.failed + counts.cancelled
    return texts("title_percent", percent=100 * ended // max(1, counts.total))


def action_values(spec: BlurSpec) -> dict[str, Any]:
    """Return what the form needs that blurs all images of an order again."""
    return {"effects": tuple(EFFECTS), "min_strength": MIN_STRENGTH, "chosen": effect_values(spec)}


def order_values(order: Order) -> dict[str, Any]:
    """Return what the templates need to know about an order."""
    delivery = order.deliveries[0] if order.deliveries else None  # newest first
    return {
        "order": order,
        "state": order_state(order),
        "open": is_open(order),
        "processed": order.counts.succeeded + order.counts.failed,
        "delivery": delivery,
        "delivery_state": short_name(DeliveryState, delivery.state) if delivery else "",
        "delivering": delivery is not None and _in_delivery(delivery.state),
        "delivery_reason": short_name(FailureReason, delivery.failure.reason) if delivery else "",
        "expires": order.expire_time.seconds,
        "revisable": order.HasField("originals_expire_time") and not is_open(order),
        # Only images that are blurred again have such a deadline while the order is open.
        "revising": order.HasField("originals_expire_time") and is_open(order),
        "originals_until": order.originals_expire_time.seconds if order.HasField("originals_expire_time") else None,
        "remaining": order.estimated_remaining.seconds if order.HasField("estimated_remaining") else None,
    }
