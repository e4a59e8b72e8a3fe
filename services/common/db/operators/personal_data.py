"""Statements about the personal data of an address, which is stored with subscribers and orders only."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import delete, func, inspect, select
from sqlalchemy.orm import Session

from services.common.db.clock import to_datetime
from services.common.db.models import (
    Base,
    ConfirmedMailbox,
    Delivery,
    Email,
    Image,
    Order,
    Subscriber,
    SuppressedAddress,
    Upload,
    WebhookEvent,
)

Record: TypeAlias = Mapping[str, Any]
"""A row as JSON values, with its `type`."""

_TIME_SUFFIXES = ("_at", "lease_until", "not_before", "originals_until")
_INTERNAL = {
    "owner",
    "mailbox",
    "lease_until",
    "enqueued_at",
    "not_before",
    "revision",
    "cleaned_up",
    "claims",
    "generation",
    "next_generation",
    "principal",
    "caller",
    "parts",
    "email_principal",
    "token_version",
}
"""Columns that contain no personal data."""


def list_orders(session: Session, address: str) -> Sequence[UUID]:
    """Return the IDs of an address's orders, oldest first."""
    # Case-insensitive by the database's rules, which are ASCII only on SQLite, and by Python's.
    same = func.lower(Order.email) == func.lower(address)
    exact = Order.email.in_({address, address.casefold()})
    return session.scalars(select(Order.id).where(same | exact).order_by(Order.created_at)).all()


def subscription_records(session: Session, address: str) -> list[Record]:
    """Return the subscription of an address and its e-mails."""
    subscriber = session.scalar(select(Subscriber).where(Subscriber.email_key == address.casefold()))
    if subscriber is None:
        return []
    emails = session.scalars(select(Email).where(Email.subscriber_id == subscriber.id))
    return [_record("subscription", subscriber), *(_record("email", email) for email in emails)]


def confirmation_records(session: Session, mailboxes: Sequence[str]) -> list[Record]:
    """Return that a mailbox has confirmed, by hashes of it."""
    confirmed = session.scalars(select(ConfirmedMailbox).where(ConfirmedMailbox.mailbox.in_(mailboxes)))
    return [_record("confirmation", row) for row in confirmed]


def suppression_records(session: Session, addresses: Sequence[str]) -> list[Record]:
    """Return that an address is suppressed, by hashes of it."""
    found = session.scalars(select(SuppressedAddress).where(SuppressedAddress.address.in_(addresses)))
    return [_record("suppression", row) for row in found]


def upload_records(session: Session, mailboxes: Sequence[str]) -> list[Record]:
    """Return the unfinished uploads for a mailbox, by hashes of it; their address and names are in the blob store."""
    return [_record("upload", row) for row in session.scalars(select(Upload).where(Upload.mailbox.in_(mailboxes)))]


def order_records(session: Session, order_id: UUID) -> list[Record]:
    """Return an order and its images, deliveries and e-mails; nothing if it does not exist."""
    order = session.get(Order, order_id)
    if order is None:
        return []
    images = session.scalars(select(Image).where(Image.order_id == order_id).order_by(Image.position))
    deliveries = session.scalars(select(Delivery).where(Delivery.order_id == order_id)).all()
    emails = session.scalars(select(Email).where(Email.delivery_id.in_([delivery.id for delivery in deliveries])))
    events = session.scalars(select(WebhookEvent).where(WebhookEvent.order_id == order_id))
    return [
        _record("order", order),
        *(_record("image", image) for image in images),
        *(_record("delivery", delivery) for delivery in deliveries),
        *(_record("email", email) for email in emails),
        *(_record("webhook event", event) for event in events),
    ]


def delete_subscriber(session: Session, address: str) -> None:
    """Delete the subscription of an address."""
    session.execute(delete(Subscriber).where(Subscriber.email_key == address.casefold()))


def _record(type_: str, row: Base) -> Record:
    values: dict[str, Any] = {"type": type_}
    for attribute in inspect(type(row)).column_attrs:
        name, value = attribute.key, getattr(row, attribute.key)
        if name in _INTERNAL:
            continue
        if value is not None and name.endswith(_TIME_SUFFIXES):
            value = to_datetime(value).isoformat(timespec="seconds")
        values[name] = str(value) if isinstance(value, UUID) else value
    return values
