"""What operators send, checked and turned into our own terms."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_pb2, order_pb2

from services.common.db.clock import SECOND
from services.common.db.orders import order_lists
from services.common.db.queues import failures
from services.common.db.queues.failures import Kind
from services.common.domain.api_keys import Role
from services.common.domain.errors import InvalidArgument, PermissionDenied, Reason, Violation
from services.common.domain.orders import OrderState
from services.gateway.orders.requests import Violations, parse_email, parse_id

MOST_FAILURES = 1000
MOST_POINTS = 500
MAX_NAME = 200
MOST_SECONDS = 100 * 365 * 86_400
MOST_KEPT_SECONDS = 90 * 86_400


def parse_order_filter(filter_: operator_pb2.OrderFilter, role: Role) -> order_lists.OrderFilter:
    """Which orders.

    Raises:
        InvalidArgument: A state is unknown, or the address is malformed.
        PermissionDenied: Addresses are for administrators to ask for.
    """
    violations = Violations()
    states = []
    for index, value in enumerate(filter_.states):
        try:
            states.append(OrderState(order_pb2.OrderState.Name(value).removeprefix("ORDER_STATE_")))
        except ValueError:
            violations.add(f"filter.states[{index}]", f"{value} is not a state")
    emails: Sequence[str] = ()
    if filter_.email:
        if role is not Role.ADMIN:
            raise PermissionDenied("ROLE_NOT_ALLOWED", "to look for an address takes the role ADMIN")
        with violations.below("filter"):
            emails = sorted({*parse_email(filter_.email)})
    violations.check()
    return order_lists.OrderFilter(
        states=states,
        emails=emails,
        principal=filter_.principal,
        from_time=_time(filter_, "from_time", filter_.from_time),
        to_time=_time(filter_, "to_time", filter_.to_time),
    )


def parse_failure_filter(filter_: operator_pb2.FailureFilter) -> failures.FailureFilter:
    """Which failures.

    Raises:
        InvalidArgument: A kind or a reason is unknown, or order_id is not a UUID.
    """
    violations = Violations()
    kind: Kind | None = None
    reason: Reason | None = None
    if filter_.kind:
        if filter_.kind in operator_pb2.FailureKind.values():
            kind = cast("Kind", operator_pb2.FailureKind.Name(filter_.kind).removeprefix("FAILURE_KIND_"))
        else:
            violations.add("filter.kind", f"{filter_.kind} is not a kind")
    if filter_.reason:
        if filter_.reason in order_pb2.FailureReason.values():
            reason = Reason(order_pb2.FailureReason.Name(filter_.reason).removeprefix("FAILURE_REASON_"))
        else:
            violations.add("filter.reason", f"{filter_.reason} is not a reason")
    violations.check()
    order_id = parse_id(filter_.order_id, "filter.order_id") if filter_.order_id else None
    return failures.FailureFilter(kind=kind, reason=reason, order_id=order_id)


def parse_failure_ids(ids: Sequence[str], all_: bool) -> list[UUID] | None:
    """The failures that are meant; None: all that the filter lets through.

    Raises:
        InvalidArgument: Neither or both are given, there are too many, or one is not a UUID.
    """
    if bool(ids) == all_:
        raise InvalidArgument(Violation("failure_ids", "give either failure_ids or all"))
    if len(ids) > MOST_FAILURES:
        raise InvalidArgument(Violation("failure_ids", f"are more than {MOST_FAILURES}"))
    return None if all_ else [parse_id(text, f"failure_ids[{index}]") for index, text in enumerate(ids)]


def parse_seconds(duration: Duration, field: str, *, least: int, most: int = MOST_SECONDS) -> int:
    """A duration in whole seconds.

    Raises:
        InvalidArgument: It is out of bounds.
    """
    if not least <= duration.seconds <= most or duration.nanos < 0:
        raise InvalidArgument(Violation(field, f"must be {least} to {most} seconds"))
    return duration.seconds


def parse_role(value: operator_pb2.ApiKeyRole.ValueType) -> Role:
    """A key's role.

    Raises:
        InvalidArgument: There is none, or it is unknown.
    """
    if not value or value not in operator_pb2.ApiKeyRole.values():
        raise InvalidArgument(Violation("role", f"{value} is not a role" if value else "is required"))
    return Role(operator_pb2.ApiKeyRole.Name(value).removeprefix("API_KEY_ROLE_"))


def parse_name(text: str) -> str:
    """A key's name.

    Raises:
        InvalidArgument: It is too long.
    """
    if len(text) > MAX_NAME:
        raise InvalidArgument(Violation("name", f"is longer than {MAX_NAME} characters"))
    # PostgreSQL cannot store NUL in text.
    return text.replace("\0", "")


def _time(filter_: operator_pb2.OrderFilter, field: str, time: Timestamp) -> int | None:
    if not filter_.HasField(field):  # type: ignore[arg-type]
        return None
    moment = time.seconds * SECOND + time.nanos // 1000
    if abs(moment) >= 2**63:
        raise InvalidArgument(Violation(f"filter.{field}", "is out of bounds"))
    return moment
