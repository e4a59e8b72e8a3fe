"""All rows of orders and what belongs to them, as they are at one moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from services.common.db.engine import Database
from services.common.db.models import Base, Delivery, Email, Image, Installation, Order, Subscriber

Row = Any
"""A row of a table: its columns are its attributes, and equal rows are equal."""
Table = dict[UUID, Row]


@dataclass(frozen=True)
class Rows:
    """The tables, by id."""

    orders: Table
    images: Table
    deliveries: Table
    emails: Table
    subscribers: Table

    def images_of(self, order_id: UUID) -> list[Row]:
        """By position."""
        found = (image for image in self.images.values() if image.order_id == order_id)
        return sorted(found, key=lambda image: image.position)

    def deliveries_of(self, order_id: UUID) -> list[Row]:
        return [delivery for delivery in self.deliveries.values() if delivery.order_id == order_id]

    def emails_of(self, delivery_id: UUID) -> list[Row]:
        return [email for email in self.emails.values() if email.delivery_id == delivery_id]


def read_rows(database: Database) -> Rows:
    """What is in the database now."""

    def tables() -> Iterator[Table]:
        for model in (Order, Image, Delivery, Email, Subscriber):
            yield {row.id: row for row in session.execute(select(Base.metadata.tables[model.__tablename__]))}

    with database.read() as session:
        return Rows(*tables())


def empty(database: Database) -> None:
    """Leave the tables as they were when the database was made."""
    with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != Installation.__tablename__:
                session.execute(delete(table))
