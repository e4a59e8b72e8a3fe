"""Statements that search for orders: by state, time, principal, the beginning of an id, a part of an address.

Each search is bounded also among millions of orders (`python -m benchmarks.search`):

- The beginning of an id is a range of the primary key.
- States are read from an index by state and time, each state by itself, so that no sort is needed.
- A whole address is looked up. A part of one is compared with the index of addresses, without reading orders. If few
  addresses match, their orders are read from that index. If many match, orders are read from the newest on until a
  page is full.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, false, func, or_, select, text, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.models import Order, table
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.orders import OrderState

MIN_PREFIX = 4
"""Digits of the beginning of an id: among a million orders about 15 begin with the same four."""
MIN_PART = 3
"""Characters of a part of an address."""
FEW_IDS = 1000
FEW_ADDRESSES = 200
SEARCH_SECONDS = 8
"""A search is given up after that on PostgreSQL, so that it takes nothing from orders."""
_ORDERS = table(Order)
_ID_DIGITS = 32
_CANCELLED = "57014"
"""SQLSTATE query_canceled."""


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Conditions on orders; empty ones do not count. Times in microseconds since 1970."""

    states: Sequence[OrderState] = ()
    emails: Sequence[str] = ()
    """Spellings of one address."""
    email_part: str = ""
    """At least `MIN_PART` characters; case does not matter. If there are orders for just that, for a whole address
    that is, only these."""
    id_prefix: str = ""
    """At least `MIN_PREFIX` hexadecimal digits."""
    principal: str = ""
    from_time: int | None = None
    to_time: int | None = None


def list_ids(
    session: Session, which: OrderFilter, *eligible: ColumnElement[bool], before: tuple[int, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Return a page of ids and creation times of orders, the newest first.

    The arguments and errors are those of `list_rows`.
    """
    return list_rows(
        session, which, *eligible, columns=(_ORDERS.c.id, _ORDERS.c.created_at), before=before, limit=limit
    )


def list_rows(
    session: Session,
    which: OrderFilter,
    *eligible: ColumnElement[bool],
    columns: Sequence[ColumnElement[Any]] = tuple(_ORDERS.c),
    before: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return a page of rows of orders, the newest first.

    Args:
        session: A transaction.
        which: Which orders.
        eligible: Further conditions.
        columns: Those of the rows: at least `id` and `created_at`.
        before: Creation time and id of the last order of the page before.
        limit: The most orders.

    Raises:
        InvalidArgument: The search takes too long.
    """
    with _within_time(session):
        conditions = [*_conditions(session, which), *eligible]

        def narrowed(*more: ColumnElement[bool]) -> Any:
            query: Any = select(*columns).where(*conditions, *more)
            return pages.page(query, Order.created_at, Order.id, after=before, limit=limit, descending=True)

        if not which.states:
            return session.execute(narrowed()).all()
        parts = [narrowed(Order.state == state) for state in dict.fromkeys(which.states)]
        if len(parts) == 1:
            return session.execute(parts[0]).all()
        found = union_all(*(select(part.subquery()) for part in parts)).subquery()
        ordered = select(found).order_by(found.c.created_at.desc(), found.c.id.desc())
        return session.execute(ordered.limit(limit)).all()


def count(
    session: Session, which: OrderFilter, *eligible: ColumnElement[bool], before: tuple[int, UUID] | None = None
) -> int:
    """Return how many orders match; those after `before` only.

    Raises:
        InvalidArgument: The search takes too long.
    """
    with _within_time(session):
        query = select(func.count()).select_from(Order).where(*_conditions(session, which), *eligible)
        if which.states:
            query = query.where(Order.state.in_(which.states))
        if before:
            query = query.where(pages.is_after(Order.created_at, Order.id, after=before, descending=True))
        return session.scalar(query) or 0


def _conditions(session: Session, which: OrderFilter) -> list[ColumnElement[bool]]:
    """Return the conditions except those on states."""
    conditions: list[ColumnElement[bool]] = []
    if which.id_prefix:
        conditions.append(_with_prefix(session, which.id_prefix))
    if which.emails:
        conditions.append(Order.email.in_(which.emails))
    if which.email_part:
        conditions.append(_with_part(session, which.email_part))
    if which.principal:
        conditions.append(Order.principal == which.principal)
    if which.from_time is not None:
        conditions.append(Order.created_at >= which.from_time)
    if which.to_time is not None:
        conditions.append(Order.created_at < which.to_time)
    return conditions


def _with_prefix(session: Session, prefix: str) -> ColumnElement[bool]:
    first, last = (UUID(prefix.ljust(_ID_DIGITS, fill)) for fill in "0f")
    matches = Order.id.between(first, last)
    found = session.scalars(select(Order.id).where(matches).limit(FEW_IDS + 1)).all()
    # Listed, or a planner may read orders by time until it has found those few.
    return matches if len(found) > FEW_IDS else or_(false(), Order.id.in_(found))


def _with_part(session: Session, part: str) -> ColumnElement[bool]:
    whole = Order.email.in_({part, part.lower()})
    if session.scalar(select(Order.id).where(whole).limit(1)):
        return whole
    matches: Any = Order.email.icontains(part, autoescape=True)
    addresses = select(Order.email).where(Order.email.is_not(None), matches).distinct().limit(FEW_ADDRESSES + 1)
    found = session.scalars(addresses).all()
    if len(found) > FEW_ADDRESSES:
        return matches  # type: ignore[no-any-return]
    return or_(false(), Order.email.in_(found))


@contextmanager
def _within_time(session: Session) -> Iterator[None]:
    if session.get_bind().dialect.name != "postgresql":
        yield
        return
    session.execute(text(f"SET LOCAL statement_timeout = {SEARCH_SECONDS * 1000}"))
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELLED:
            raise
        description = "takes too long: enter more of the address, or a time"
        raise InvalidArgument(Violation("filter", description)) from None
    session.execute(text("SET LOCAL statement_timeout = 0"))
