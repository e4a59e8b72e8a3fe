"""Parses filters and selections of orders; errors name the field."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_pb2, order_pb2

from services.common.db.clock import SECOND
from services.common.db.orders.order_search import MIN_PART, MIN_PREFIX, OrderFilter
from services.common.domain.api_keys import Role
from services.common.domain.errors import InvalidArgument, PermissionDenied, Violation
from services.common.domain.orders import OrderState
from services.gateway.rpc.fields import Violations, parse_email, parse_id

MAX_ORDER_IDS = 1000
_MAX_PART = 320
_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},32}}")


@dataclass(frozen=True, kw_only=True)
class OrderSelection:
    """Orders by id, or if `order_ids` is None all that match the filter."""

    order_ids: Sequence[UUID] | None
    filter: OrderFilter


def parse_selection(selection: operator_pb2.OrderSelection, role: Role) -> OrderSelection:
    """Return the orders that an action is for.

    Raises:
        InvalidArgument: Not exactly one of IDs and `all` is set, or a field is malformed.
        PermissionDenied: The role may not search for addresses.
    """
    ids = selection.order_ids
    if bool(ids) == selection.all:
        raise InvalidArgument(Violation("selection.order_ids", "set either order_ids or all"))
    if len(ids) > MAX_ORDER_IDS:
        raise InvalidArgument(Violation("selection.order_ids", f"are more than {MAX_ORDER_IDS}"))
    parsed = [parse_id(text, f"selection.order_ids[{index}]") for index, text in enumerate(ids)]
    return OrderSelection(
        order_ids=None if selection.all else list(dict.fromkeys(parsed)),
        filter=parse_order_filter(selection.filter, role, "selection.filter"),
    )


def parse_order_filter(filter_: operator_pb2.OrderFilter, role: Role, field: str = "filter") -> OrderFilter:
    """Return the conditions of a filter.

    Raises:
        InvalidArgument: With a violation for each malformed field.
        PermissionDenied: The role may not search for addresses.
    """
    violations = Violations()
    states = []
    for index, value in enumerate(filter_.states):
        try:
            states.append(OrderState(order_pb2.OrderState.Name(value).removeprefix("ORDER_STATE_")))
        except ValueError:
            violations.add(f"{field}.states[{index}]", f"{value} is not a state")
    if (filter_.email or filter_.email_part) and role is not Role.ADMIN:
        raise PermissionDenied("ROLE_NOT_ALLOWED", "filtering by address needs the role ADMIN")
    emails: Sequence[str] = ()
    if filter_.email:
        with violations.collect(field):
            emails = sorted({*parse_email(filter_.email)})
    if filter_.email_part and not MIN_PART <= len(filter_.email_part) <= _MAX_PART:
        violations.add(f"{field}.email_part", f"must have {MIN_PART} to {_MAX_PART} characters")
    prefix = filter_.order_id_prefix.lower().replace("-", "")
    if filter_.order_id_prefix and not _PREFIX.fullmatch(prefix):
        violations.add(f"{field}.order_id_prefix", f"must have {MIN_PREFIX} to 32 hexadecimal digits")
    violations.raise_if_any()
    return OrderFilter(
        states=states,
        emails=emails,
        email_part=filter_.email_part,
        id_prefix=prefix,
        principal=filter_.principal,
        from_time=parse_time(filter_.from_time, f"{field}.from_time") if filter_.HasField("from_time") else None,
        to_time=parse_time(filter_.to_time, f"{field}.to_time") if filter_.HasField("to_time") else None,
    )


def parse_time(time: Timestamp, field: str) -> int:
    """Return a time in microseconds since 1970.

    Raises:
        InvalidArgument: No column can hold it.
    """
    microseconds = time.seconds * SECOND + time.nanos // 1000
    if abs(microseconds) >= 2**63:
        raise InvalidArgument(Violation(field, "is out of range"))
    return microseconds
