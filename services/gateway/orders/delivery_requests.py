"""Requests to e-mail an order's results."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import deliveries
from services.common.db.models import Delivery, Order
from services.common.db.orders import idempotency, orders
from services.common.domain.errors import FailedPrecondition, NotFound, ResourceExhausted
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import DeliveryState, OrderState
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.recipients import Recipients


@dataclass(frozen=True, kw_only=True)
class DeliveryRequest:
    """A call of SendImages."""

    order_id: UUID
    principal: str
    request_id: UUID | None
    when_ready: bool
    """Wait for the order to finish."""
    email: str | None = None
    """The address that the order gets; None: it has one."""

    @property
    def idempotency_key(self) -> idempotency.IdempotentRequest | None:
        """What makes a repeated call the same one; None without a request ID."""
        if self.request_id is None:
            return None
        # Without an address as gateways of the version before compute it.
        values = [str(self.order_id), str(self.when_ready), *([self.email] if self.email else [])]
        fingerprint = hashlib.sha256(" ".join(values).encode()).hexdigest()
        return idempotency.IdempotentRequest(
            principal=self.principal, method="SendImages", request_id=self.request_id, fingerprint=fingerprint
        )


@dataclass(frozen=True)
class RequestDelivery:
    """Creates deliveries; blocking."""

    database: Database
    after_commit: AfterCommit
    cooldown: float
    """Seconds between two deliveries of an order."""
    recipients: Recipients

    def recipient_is_unconfirmed(self, request: DeliveryRequest) -> bool:
        """Return whether the delivery is an e-mail to an address that has not confirmed."""
        with self.database.read() as session:
            order = session.get(Order, request.order_id)
            if order and request.email and not _is_same(order.email, request.email):
                return not self.recipients.may_get_results(session, address=request.email, principal=request.principal)
            return not self.recipients.may_get(session, order)

    def __call__(self, request: DeliveryRequest, *, audited: AuditContext | None = None) -> tuple[Delivery, int]:
        """Create a delivery and enqueue its e-mail, or return the open one; with its number of e-mails so far.

        A new one is recorded in the audit log if `audited`.

        Raises:
            NotFound: The order does not exist.
            FailedPrecondition: The order has not finished, was cancelled, or has expired; it has no address, or
                another one.
            ResourceExhausted: The results were e-mailed recently.
            InvalidArgument: The request ID was used for a different request.
        """
        emails: list[UUID] = []
        key = request.idempotency_key
        with self.database.write() as session:
            order = orders.lock(session, request.order_id)
            if order is None:
                raise NotFound("order", str(request.order_id))
            if key and (earlier := idempotency.get_answer(session, key)):
                delivery = session.get(Delivery, earlier)
                if delivery is None:
                    raise NotFound("delivery", str(earlier))
                return delivery, deliveries.count_emails(session, delivery.id)
            delivery = deliveries.find_open(session, order.id)
            if request.email and order.email and not _is_same(order.email, request.email):
                _check_replaceable(session, order, delivery)
            if delivery is None:
                self._check_cooldown(session, order.id)
                delivery, emails = self._create(session, order, request)
                if audited:
                    audit.record(session, audited, f"orders/{order.id}")
            if key:
                idempotency.insert_answer(session, key, delivery.id)
            count = deliveries.count_emails(session, delivery.id)
        self.after_commit(FollowUp(email_ids=emails, changed_order_ids=[request.order_id]))
        return delivery, count

    def _check_cooldown(self, session: Session, order_id: UUID) -> None:
        # An order ID is enough to request e-mails: its address must not be flooded.
        wait = deliveries.seconds_until_next(session, order_id, cooldown=self.cooldown)
        if wait > 0:
            message = "the results were e-mailed recently"
            raise ResourceExhausted("MAIL_COOLDOWN", f"orders/{order_id}", message, retry_seconds=wait)

    def _create(self, session: Session, order: Order, request: DeliveryRequest) -> tuple[Delivery, list[UUID]]:
        """Create a delivery of a locked order; return it and the IDs of e-mails to enqueue."""
        state, subject = OrderState(order.state), f"orders/{order.id}"
        if state is OrderState.EXPIRED:
            raise FailedPrecondition("ORDER_EXPIRED", subject, "the order has expired: its results were removed")
        if state is OrderState.CANCELLED:
            raise FailedPrecondition("ORDER_CANCELLED", subject, "the order was cancelled")
        if state.open and not request.when_ready:
            ended = order.succeeded + order.failed
            message = (
                f"the order has not finished: {ended} of {order.total} images are done; "
                "set when_ready to e-mail the results when it has"
            )
            raise FailedPrecondition("ORDER_NOT_FINISHED", subject, message)
        if request.email and not _is_same(order.email, request.email):
            mailbox = self.recipients.hasher.hash(request.email)
            orders.set_address(
                session, order.id, email=request.email, mailbox=mailbox, email_principal=request.principal
            )
        elif order.email is None:
            message = "the order has no e-mail address: set email to the address that the results are e-mailed to"
            raise FailedPrecondition("EMAIL_REQUIRED", subject, message)
        if state.open:
            return deliveries.insert_delivery(session, order.id, DeliveryState.WAITING), []
        delivery = deliveries.insert_delivery(session, order.id, DeliveryState.QUEUED)
        return delivery, [deliveries.insert_email(session, delivery.id)]


def _is_same(address: str | None, other: str) -> bool:
    return address is not None and address.casefold() == other.casefold()


def _check_replaceable(session: Session, order: Order, open_delivery: Delivery | None) -> None:
    # An e-mail counts towards the limits of the mailbox that its order has.
    if open_delivery is not None or deliveries.was_mailed(session, order.id):
        message = "the order has another e-mail address, and e-mails to it: leave email empty, or place a new order"
        raise FailedPrecondition("EMAIL_ALREADY_USED", f"orders/{order.id}", message)
