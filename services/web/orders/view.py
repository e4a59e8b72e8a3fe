"""An order as its page shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from imageblur.v1.order_pb2 import Delivery, DeliveryState, FailureReason, Image, ImageState, Order, OrderState

from services.web.http.languages import Texts
from services.web.http.templates import Pages

MOST_SHOWN_BYTES = 2_000_000
"""Results up to this size are shown in small beside their names: a browser has to fetch all of them for that."""
_SHOWN_TYPES = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif"}


def order_state(order: Order) -> str:
    """Its state's name: `queued`, `running` and so on."""
    return OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower()


def open_(order: Order) -> bool:
    """Whether images of it may still end."""
    return order_state(order) in {"queued", "running"}


def delivery_state(delivery: Delivery) -> str:
    """Its state's name: `waiting`, `queued` and so on."""
    return DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_").lower()


def at_rest(order: Order) -> bool:
    """Whether nothing of it changes any more by itself."""
    return not open_(order) and not any(
        delivery_state(delivery) in {"waiting", "queued", "sending"} for delivery in order.deliveries
    )


@dataclass(frozen=True)
class ImageView:
    """An image."""

    image: Image
    order_id: str

    @property
    def state(self) -> str:
        """Its state's name: `queued`, `running` and so on."""
        return ImageState.Name(self.image.state).removeprefix("IMAGE_STATE_").lower()

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.state == "succeeded"

    @property
    def reason(self) -> str:
        """Why it failed."""
        return FailureReason.Name(self.image.failure.reason).removeprefix("FAILURE_REASON_").lower()

    @property
    def address(self) -> str:
        """Where its result is."""
        return f"/orders/{self.order_id}/images/{self.image.image_id}"

    @property
    def viewable(self) -> bool:
        """Whether browsers can show the result."""
        return self.done and self.image.media_type in _SHOWN_TYPES

    @property
    def small(self) -> bool:
        """Whether the result is shown beside its name."""
        return self.viewable and self.image.output_bytes <= MOST_SHOWN_BYTES


def views(order: Order, images: Iterable[Image]) -> list[ImageView]:
    """Images for the templates."""
    return [ImageView(image, order.order_id) for image in images]


@dataclass(frozen=True)
class OrderParts:
    """Renders the parts of an order's page that change."""

    pages: Pages
    texts: Texts

    def summary(self, order: Order) -> str:
        """How it stands."""
        return self.pages.part(self.texts, "summary.html", **order_values(order))

    def actions(self, order: Order) -> str:
        """What can be done with it."""
        return self.pages.part(self.texts, "actions.html", **order_values(order))

    def image(self, view: ImageView) -> str:
        """One image."""
        return self.pages.part(self.texts, "image.html", view=view)

    def announcement(self, order: Order) -> str:
        """For those who listen to the page."""
        ended = order.counts.total - order.counts.queued - order.counts.running
        return self.texts("announce_progress", done=ended, total=order.counts.total)


def order_values(order: Order) -> dict[str, Any]:
    """What the templates need to know of an order."""
    newest: Sequence[Delivery] = order.deliveries[:1]
    return {
        "order": order,
        "state": order_state(order),
        "open": open_(order),
        "worked": order.counts.succeeded + order.counts.failed,
        "delivery": newest[0] if newest else None,
        "delivery_state": delivery_state(newest[0]) if newest else "",
        "mailing": bool(newest) and delivery_state(newest[0]) in {"waiting", "queued", "sending"},
        "delivery_reason": (
            FailureReason.Name(newest[0].failure.reason).removeprefix("FAILURE_REASON_").lower() if newest else ""
        ),
        "expires": order.expire_time.seconds,
        "remaining": order.estimated_remaining.seconds if order.HasField("estimated_remaining") else None,
    }
