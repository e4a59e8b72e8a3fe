"""OperatorService: failures."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.operators import failures
from services.common.db.operators.failures import FailureCursor, Kind
from services.common.domain.errors import InvalidArgument, Reason, Violation
from services.common.domain.failures import Cause
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.mail.masked_addresses import mask_addresses
from services.gateway.operator.orders.order_filters import parse_time
from services.gateway.rpc import paging
from services.gateway.rpc.fields import Violations, parse_id
from services.gateway.rpc.timestamps import timestamp

MAX_FAILURE_IDS = 1000


class FailureServicer(OperatorBase):
    """The RPCs of failures."""

    async def ListFailures(self, request: pb.ListFailuresRequest, context: Context) -> pb.ListFailuresResponse:
        """List failures."""
        size, filter_ = paging.parse_size(request.page_size), _parse_filter(request.filter)
        after = _parse_place(request.page_token)
        found = await self.read(lambda session: failures.list_failures(session, filter_, after=after, limit=size + 1))
        groups = [] if after else await self.read(lambda session: failures.count_by_reason(session, filter_))
        page, last = paging.split_page(found, size)
        return pb.ListFailuresResponse(
            failures=map(_entry, page),
            next_page_token=paging.make_token(last.kind, last.time, last.id) if last else "",
            groups=map(_group, groups),
        )

    async def RetryFailures(self, request: pb.RetryFailuresRequest, context: Context) -> pb.RetryFailuresResponse:
        """Retry failures."""
        ids, filter_ = _parse_ids(request.failure_ids, request.all), _parse_filter(request.filter)
        if request.validate_only:
            return pb.RetryFailuresResponse(matched=await self._count(ids, filter_, retryable=True))
        outcome = await self.threads.run_to_end(self.failures.retry, audit_context(), ids, filter_)
        return pb.RetryFailuresResponse(
            retried=outcome.count,
            skipped=[
                operator_pb2.SkippedFailure(failure_id=str(failure_id), message=message)
                for failure_id, message in outcome.skipped
            ],
            remaining=outcome.remaining,
            matched=outcome.matched,
        )

    async def DismissFailures(self, request: pb.DismissFailuresRequest, context: Context) -> pb.DismissFailuresResponse:
        """Dismiss failures."""
        ids, filter_ = _parse_ids(request.failure_ids, request.all), _parse_filter(request.filter)
        if request.validate_only:
            return pb.DismissFailuresResponse(matched=await self._count(ids, filter_, retryable=False))
        outcome = await self.threads.run_to_end(self.failures.dismiss, audit_context(), ids, filter_)
        return pb.DismissFailuresResponse(dismissed=outcome.count, remaining=outcome.remaining, matched=outcome.matched)

    async def _count(self, ids: list[UUID] | None, filter_: failures.FailureFilter, *, retryable: bool) -> int:
        return await self.threads.run(self.failures.count, ids, filter_, retryable=retryable)


def _entry(row: Any) -> operator_pb2.FailureEntry:
    return operator_pb2.FailureEntry(
        failure_id=str(row.id),
        kind=operator_pb2.FailureKind.Value(f"FAILURE_KIND_{row.kind}"),
        failure=order_pb2.Failure(
            reason=order_pb2.FailureReason.Value(f"FAILURE_REASON_{row.reason}"), message=mask_addresses(row.message)
        ),
        order_id=str(row.order_id) if row.order_id else "",
        position=row.position,
        attempts=row.attempts,
        fail_time=timestamp(row.time or None),
        retryable=bool(row.retryable),
        cause=operator_pb2.FailureCause.Value(f"FAILURE_CAUSE_{row.cause}"),
    )


def _group(row: failures.FailureGroup) -> operator_pb2.FailureGroup:
    return operator_pb2.FailureGroup(
        kind=operator_pb2.FailureKind.Value(f"FAILURE_KIND_{row.kind}"),
        reason=order_pb2.FailureReason.Value(f"FAILURE_REASON_{row.reason}"),
        message=mask_addresses(row.message),
        count=row.number,
        cause=operator_pb2.FailureCause.Value(f"FAILURE_CAUSE_{row.cause}"),
        retryable=row.retryable,
    )


def _parse_filter(filter_: operator_pb2.FailureFilter) -> failures.FailureFilter:
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
    cause: Cause | None = None
    if filter_.cause:
        if filter_.cause in operator_pb2.FailureCause.values():
            cause = Cause(operator_pb2.FailureCause.Name(filter_.cause).removeprefix("FAILURE_CAUSE_"))
        else:
            violations.add("filter.cause", f"{filter_.cause} is not a cause")
    violations.raise_if_any()
    order_id = parse_id(filter_.order_id, "filter.order_id") if filter_.order_id else None
    return failures.FailureFilter(
        kind=kind,
        reason=reason,
        order_id=order_id,
        cause=cause,
        from_time=parse_time(filter_.from_time, "filter.from_time") if filter_.HasField("from_time") else None,
        to_time=parse_time(filter_.to_time, "filter.to_time") if filter_.HasField("to_time") else None,
    )


def _parse_ids(ids: Sequence[str], all_: bool) -> list[UUID] | None:
    """Return the IDs of failures; None for all that match the filter."""
    if bool(ids) == all_:
        raise InvalidArgument(Violation("failure_ids", "set either failure_ids or all"))
    if len(ids) > MAX_FAILURE_IDS:
        raise InvalidArgument(Violation("failure_ids", f"are more than {MAX_FAILURE_IDS}"))
    return None if all_ else [parse_id(text, f"failure_ids[{index}]") for index, text in enumerate(ids)]


def _parse_place(token: str) -> FailureCursor | None:
    position = paging.parse_token(token, str, int, UUID)
    if position is None:
        return None
    if position[0] not in failures.KINDS:
        raise paging.invalid_token()
    return FailureCursor(*position)
