"""Statements about all that is stored of an e-mail address: in orders and subscribers, and what belongs to them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, inspect, select
from sqlalchemy.orm import Session

from services.common.db.clock import to_datetime
from services.common.db.models import Base, Delivery, Email, Image, Order, Subscriber

_TIMES = ("_at", "lease_until", "not_before")
_INTERNAL = {
    "owner",
    "lease_until",
    "enqueued_at",
    "not_before",
    "revision",
    "cleaned_up",
    "principal",
    "token_version",
}
"""Columns that hold nothing about a person."""


def get_personal_data(session: Session, address: str) -> dict[str, Any]:
    """Return the subscription, orders, images, deliveries and e-mails of an address as values for JSON."""
    subscriber = session.scalar(select(Subscriber).where(Subscriber.email_key == address.casefold()))
    return {
        "address": address,
        "subscription": _subscription(session, subscriber) if subscriber else None,
        "orders": [_order(session, order_id) for order_id in list_orders_of(session, address)],
    }


def list_orders_of(session: Session, address: str) -> Sequence[UUID]:
    """Return the orders of an address, the oldest first."""
    # The database compares ASCII letters without their case, Python all others.
    same = func.lower(Order.email) == func.lower(address)
    exactly = Order.email.in_({address, address.casefold()})
    return session.scalars(select(Order.id).where(same | exactly).order_by(Order.created_at)).all()


def delete_subscriber(session: Session, address: str) -> None:
    """Delete the subscription of an address with its e-mails."""
    session.execute(delete(Subscriber).where(Subscriber.email_key == address.casefold()))


def _subscription(session: Session, subscriber: Subscriber) -> dict[str, Any]:
    emails = session.scalars(select(Email).where(Email.subscriber_id == subscriber.id))
    return {**_values(subscriber), "emails": [_values(email) for email in emails]}


def _order(session: Session, order_id: UUID) -> dict[str, Any]:
    deliveries = session.scalars(select(Delivery).where(Delivery.order_id == order_id)).all()
    emails = select(Email).where(Email.delivery_id.in_([delivery.id for delivery in deliveries]))
    images = select(Image).where(Image.order_id == order_id).order_by(Image.position)
    return {
        **_values(session.get_one(Order, order_id)),
        "images": [_values(image) for image in session.scalars(images)],
        "deliveries": [_values(delivery) for delivery in deliveries],
        "emails": [_values(email) for email in session.scalars(emails)],
    }


def _values(row: Base) -> Mapping[str, Any]:
    """Return a row's values as JSON has them."""
    values: dict[str, Any] = {}
    for attribute in inspect(type(row)).column_attrs:
        name, value = attribute.key, getattr(row, attribute.key)
        if name in _INTERNAL:
            continue
        if value is not None and name.endswith(_TIMES):
            value = to_datetime(value).isoformat(timespec="seconds")
        values[name] = str(value) if isinstance(value, UUID) else value
    return values
