"""Keyset pagination: a page begins after the last row of the page before, found by an index instead of counted."""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

Query = TypeVar("Query", bound=Select[Any])
Column = InstrumentedAttribute[Any] | ColumnElement[Any]


def page(
    query: Query, *columns: Column, after: tuple[object, ...] | None, limit: int, descending: bool = False
) -> Query:
    """Return the query for a page, in the order of `columns`, which must be unique together.

    Args:
        query: All rows, without an order.
        columns: What the pages are ordered by.
        after: The columns' values in the last row of the page before; None for the first page.
        limit: The most rows of the page.
        descending: Whether the greatest come first.
    """
    if after is not None:
        query = query.where(is_after(*columns, after=after, descending=descending))
    return query.order_by(*(column.desc() if descending else column for column in columns)).limit(limit)


def is_after(*columns: Column, after: tuple[object, ...], descending: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row is on a later page than the row with the values `after`."""
    key = tuple_(*columns)
    return key < after if descending else key > after
