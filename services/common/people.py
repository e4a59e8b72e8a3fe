"""A person's data, for the law's sake, by address: `python -m services.common.people export|erase|lift ADDRESS`.

An address stands in orders and among subscribers, and nowhere else.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from services.common import migrations
from services.common.db.clock import to_datetime
from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.db.models import Base, Delivery, Email, Image, Order, Subscriber
from services.common.db.orders import orders, unowned_blobs
from services.common.domain.errors import NotFound
from services.common.domain.orders import blob_prefix
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.settings import CommonSettings
from services.common.infra.startup import run

_TIMES = ("_at", "lease_until", "not_before")
_INNER = {"owner", "lease_until", "enqueued_at", "not_before", "revision", "tidied", "principal", "token_version"}
"""Columns that say nothing of a person."""


@dataclass(frozen=True)
class People:
    """The use cases, over what they need."""

    database: Database
    blobs: BlobStore

    def export(self, address: str) -> dict[str, Any]:
        """All that is kept of an address: subscription, orders, images, deliveries, e-mails; no image's bytes."""
        with self.database.read() as session:
            subscriber = session.scalar(select(Subscriber).where(Subscriber.email_key == address.casefold()))
            return {
                "address": address,
                "subscription": _subscription(session, subscriber) if subscriber else None,
                "orders": [_order(session, order_id) for order_id in _orders_of(session, address)],
            }

    def erase(self, address: str) -> int:
        """Delete an address's subscription and orders, with images and results; how many orders there were."""
        with self.database.write() as session:
            session.execute(delete(Subscriber).where(Subscriber.email_key == address.casefold()))
            found = _orders_of(session, address)
        for order_id in found:
            # As when its owner deletes it, one by one: what is interrupted leaves a row that leads to the blobs.
            with contextlib.suppress(NotFound), self.database.write() as session:
                orders.delete_order(session, order_id)
                unowned_blobs.disown(session, order_id)
            self.blobs.delete_prefix(blob_prefix(order_id))
            with self.database.write() as session:
                unowned_blobs.removed(session, order_id)
        return len(found)

    def lift(self, address: str) -> bool:
        """Let an address whose mail came back subscribe again; False if it was not suppressed."""
        with self.database.write() as session:
            return subscribers.lift_suppression(session, address.casefold())


def _orders_of(session: Session, address: str) -> Sequence[UUID]:
    # Upper and lower case by the database's rules for ASCII, the rest by ours.
    same = func.lower(Order.email) == func.lower(address)
    exactly = Order.email.in_({address, address.casefold()})
    return session.scalars(select(Order.id).where(same | exactly).order_by(Order.created_at)).all()


def _subscription(session: Session, subscriber: Subscriber) -> dict[str, Any]:
    emails = session.scalars(select(Email).where(Email.subscriber_id == subscriber.id))
    return {**_values(subscriber), "emails": [_values(email) for email in emails]}


def _order(session: Session, order_id: UUID) -> dict[str, Any]:
    deliveries = session.scalars(select(Delivery).where(Delivery.order_id == order_id)).all()
    emails = select(Email).where(Email.delivery_id.in_([delivery.id for delivery in deliveries]))
    return {
        **_values(session.get_one(Order, order_id)),
        "images": [
            _values(image)
            for image in session.scalars(select(Image).where(Image.order_id == order_id).order_by(Image.position))
        ],
        "deliveries": [_values(delivery) for delivery in deliveries],
        "emails": [_values(email) for email in session.scalars(emails)],
    }


def _values(row: Base) -> Mapping[str, Any]:
    """A row's columns as JSON knows them."""
    values: dict[str, Any] = {}
    for column in row.__table__.columns:
        value = getattr(row, column.name)
        if column.name in _INNER:
            continue
        if value is not None and column.name.endswith(_TIMES):
            value = to_datetime(value).isoformat(timespec="seconds")
        values[column.name] = str(value) if isinstance(value, UUID) else value
    return values


def main() -> None:
    """Do what the command says."""
    parser = argparse.ArgumentParser(prog="python -m services.common.people")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, words in (
        ("export", "print all that is kept of an address, as JSON"),
        ("erase", "delete its subscription and its orders with all images"),
        ("lift", "let an address whose mail came back subscribe again"),
    ):
        commands.add_parser(name, help=words).add_argument("address")
    arguments = parser.parse_args()
    settings = CommonSettings.load()
    log.configure(settings.log_level, settings.log_format)
    database = Database(settings.database_url)
    migrations.check(database)
    people = People(database, BlobStore(settings.blob_url))
    match arguments.command:
        case "export":
            json.dump(people.export(arguments.address), sys.stdout, ensure_ascii=False, indent=2)
            print()
        case "erase":
            print(f"subscription gone, {people.erase(arguments.address)} orders deleted")
        case "lift":
            print("may subscribe again" if people.lift(arguments.address) else "was not suppressed")
    database.close()


if __name__ == "__main__":
    run(main)
