"""What the gateway does besides taking orders in: plain functions over the database, the blobs and the broker."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.archive import summary
from services.common.archive.result_names import result_names
from services.common.db.clock import to_datetime
from services.common.db.engine import Database
from services.common.db.mail import deliveries, subscribers
from services.common.db.models import Delivery, Image, Order
from services.common.db.orders import idempotency, images, orders, unowned_blobs
from services.common.db.orders.orders import Snapshot
from services.common.domain.errors import Busy, FailedPrecondition, InvalidArgument, NotFound, Violation
from services.common.domain.orders import DeliveryState, ImageState, OrderState, blob_prefix, result_key
from services.common.domain.spec import Format
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import send_email
from services.common.infra.tokens import BadToken, Tokens
from services.common.refilling import refill_waiting

MAX_PAGE = 1000


@dataclass(frozen=True)
class Changed:
    """An order and what changed in it."""

    snapshot: Snapshot
    images: Sequence[Image]

    @property
    def revision(self) -> int:
        """The order's revision at which this was so."""
        return self.snapshot.order.revision


@dataclass(frozen=True)
class Result:
    """A result to be handed out."""

    image: Image
    name: str
    key: str


@dataclass(frozen=True)
class Results:
    """What can be handed out of an order."""

    done: Sequence[Result]
    order: Order
    failed: Sequence[Image] = ()
    """Images that have no result, where all were asked for."""

    @property
    def ordered_at(self) -> datetime:
        """When the order was placed."""
        return to_datetime(self.order.created_at)

    def receipt(self) -> list[tuple[str, bytes]]:
        """What was done to the images: the names and bytes of two files."""
        lines = [summary.line(self.order, result.image, result.name) for result in self.done]
        return summary.files(self.order, lines + [summary.line(self.order, image, None) for image in self.failed])


@dataclass(frozen=True)
class UseCases:
    """The use cases, over what they need."""

    database: Database
    blobs: BlobStore
    broker: Broker
    tokens: Tokens
    window: int
    """Images in the queue or at work at a time, shared by the orders."""
    mail_cooldown: float = 0.0
    """Seconds between two requests for an order's results by mail."""

    def status(self, order_id: UUID) -> Snapshot:
        """How an order stands."""
        with self.database.read() as session:
            return orders.snapshot(session, order_id)

    def status_with_images(self, order_id: UUID) -> Changed:
        """How an order and its first 1,000 images stand; one more if there are more."""
        with self.database.read() as session:
            snapshot = orders.snapshot(session, order_id)
            return Changed(snapshot, images.page(session, order_id, limit=MAX_PAGE + 1))

    def list_images(self, order_id: UUID, *, after: int, limit: int, state: ImageState | None) -> list[Image]:
        """A page of an order's images."""
        with self.database.read() as session:
            orders.snapshot(session, order_id)
            return images.page(session, order_id, after=after, limit=limit, state=state)

    def changes(self, order_id: UUID, after_revision: int) -> Changed:
        """How an order stands, and its images that changed since."""
        with self.database.read() as session:
            snapshot = orders.snapshot(session, order_id)
            if snapshot.order.revision <= after_revision:
                return Changed(snapshot, ())
            return Changed(snapshot, images.changed_since(session, order_id, after_revision))

    def revisions(self, order_ids: Sequence[UUID]) -> dict[UUID, int]:
        """The revisions of orders, of those that there are."""
        with self.database.read() as session:
            return orders.revisions(session, order_ids)

    def send_images(
        self, order_id: UUID, *, principal: str, request_id: UUID | None, when_ready: bool
    ) -> tuple[Delivery, int]:
        """Ask for the results by mail; the delivery and its number of e-mails so far."""
        emails: list[UUID] = []
        with self.database.write() as session:
            order = orders.lock(session, order_id)
            if order is None:
                raise NotFound("order", str(order_id))
            if request_id:
                fingerprint = hashlib.sha256(f"{order_id} {when_ready}".encode()).hexdigest()
                request = idempotency.Request(principal, "SendImages", request_id, fingerprint)
                if earlier := idempotency.answered(session, request):
                    delivery = session.get(Delivery, earlier)
                    if delivery is None:
                        raise NotFound("delivery", str(earlier))
                    return delivery, deliveries.count_emails(session, delivery.id)
            delivery = deliveries.find_open(session, order_id)
            if delivery is None:
                self._refuse_too_soon(session, order_id)
                delivery = _ask(session, order, emails, when_ready=when_ready)
            if request_id:
                idempotency.remember(session, request, delivery.id)
            count = deliveries.count_emails(session, delivery.id)
        self.broker.send(map(send_email, emails))
        self.broker.announce(order_id)
        return delivery, count

    def _refuse_too_soon(self, session: Session, order_id: UUID) -> None:
        """Whoever knows an order can ask for its mail, again and again: its reader must not be flooded."""
        wait = deliveries.seconds_until_next(session, order_id, cooldown=self.mail_cooldown)
        if wait > 0:
            raise Busy(
                "MAIL_COOLDOWN",
                f"orders/{order_id}",
                f"the results were mailed a moment ago: ask again in {math.ceil(wait)} seconds",
                retry_seconds=wait,
            )

    def results(self, order_id: UUID, image_ids: Sequence[UUID]) -> Results:
        """The results that can be fetched: those asked for, or all."""
        with self.database.read() as session:
            snapshot = orders.snapshot(session, order_id)
            if snapshot.order.state == OrderState.EXPIRED:
                raise FailedPrecondition("EXPIRED", f"orders/{order_id}", "the order has expired: its results are gone")
            found = images.page(session, order_id, limit=snapshot.order.total)
        done = [image for image in found if image.state == ImageState.SUCCEEDED]
        # Named among all that are done, so that a name does not depend on which are asked for.
        names = result_names((image.filename, Format(image.format or "")) for image in done)
        results = {
            image.id: Result(image, name, result_key(order_id, image.position))
            for image, name in zip(done, names, strict=True)
        }
        if not image_ids:
            failed = [image for image in found if image.state == ImageState.FAILED]
            return Results(list(results.values()), snapshot.order, failed)
        states = {image.id: image.state for image in found}
        for image_id in image_ids:
            if image_id not in states:
                raise NotFound("image", str(image_id))
            if image_id not in results:
                state = states[image_id]
                raise FailedPrecondition("NOT_SUCCEEDED", f"images/{image_id}", f"image {image_id} is {state}")
        return Results([results[image_id] for image_id in image_ids], snapshot.order)

    def cancel(self, order_id: UUID) -> Snapshot:
        """Cancel what has not ended."""
        with self.database.write() as session:
            orders.cancel(session, order_id)
        self.broker.announce(order_id, ended=True)
        self.blobs.delete_prefix(f"{blob_prefix(order_id)}source/")
        refill_waiting(self.database, self.broker, self.window)
        return self.status(order_id)

    def delete(self, order_id: UUID) -> None:
        """Delete an order and all that belongs to it."""
        with self.database.write() as session:
            orders.delete_order(session, order_id)
            unowned_blobs.disown(session, order_id)
        self.broker.announce(order_id, ended=True)
        self.blobs.delete_prefix(blob_prefix(order_id))
        with self.database.write() as session:
            unowned_blobs.removed(session, order_id)
        refill_waiting(self.database, self.broker, self.window)

    def subscribe(self, *, email: str, email_key: str, locale: str, confirm: bool) -> None:
        """Subscribe an address, or ask its owner to confirm."""
        with self.database.write() as session:
            confirmation = subscribers.subscribe(
                session, email=email, email_key=email_key, locale=locale, confirm=confirm
            )
        if confirmation:
            self.broker.send([send_email(confirmation)])

    def confirm_subscription(self, token: str) -> None:
        """Confirm with the token of an e-mail."""
        try:
            subscriber_id, version = self.tokens.read("confirm", token)
        except BadToken as error:
            raise InvalidArgument(Violation("token", str(error)), reason="BAD_TOKEN") from None
        with self.database.write() as session:
            confirmed = subscribers.confirm(session, subscriber_id, version)
        if not confirmed:
            raise InvalidArgument(Violation("token", "is no longer valid: subscribe again"), reason="BAD_TOKEN")

    def unsubscribe_address(self, email_key: str) -> None:
        """End a subscription by address."""
        with self.database.write() as session:
            goodbye = subscribers.unsubscribe(session, email_key=email_key)
        if goodbye:
            self.broker.send([send_email(goodbye)])

    def unsubscribe_token(self, token: str) -> None:
        """End a subscription by the token of an e-mail."""
        try:
            subscriber_id, _ = self.tokens.read("unsubscribe", token)
        except BadToken as error:
            raise InvalidArgument(Violation("token", str(error)), reason="BAD_TOKEN") from None
        with self.database.write() as session:
            subscribers.unsubscribe(session, subscriber_id=subscriber_id)


def _ask(session: Session, order: Order, emails: list[UUID], *, when_ready: bool) -> Delivery:
    """A new delivery of a locked order; its e-mail, if one can go now, is added to `emails`."""
    state = OrderState(order.state)
    subject = f"orders/{order.id}"
    if state is OrderState.EXPIRED:
        raise FailedPrecondition("EXPIRED", subject, "the order has expired: its results are gone")
    if state is OrderState.CANCELLED:
        raise FailedPrecondition("CANCELLED", subject, "the order was cancelled")
    if not state.open:
        delivery = deliveries.insert_delivery(session, order.id, DeliveryState.QUEUED)
        emails.append(deliveries.insert_email(session, delivery.id))
        return delivery
    if when_ready:
        return deliveries.insert_delivery(session, order.id, DeliveryState.WAITING)
    ended = order.succeeded + order.failed
    raise FailedPrecondition(
        "NOT_FINISHED",
        subject,
        f"the order has not finished: {ended} of {order.total} images are done; with when_ready they are mailed then",
    )
