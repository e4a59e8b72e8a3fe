"""Failed images and e-mails by reason: retried or dismissed, one, some or all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.operator.exports import Row, export
from services.web.operator.orders.orders import time_text
from services.web.operator.paging import Pager, list_url, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_to
from services.web.operator.time_filter import CHOICES, TimeFilter
from services.web.orders.pages import find_order_id

PAGE_SIZE = 50
CAUSES = ("service", "file", "recipient")
COLUMNS = (
    "failure_id",
    "kind",
    "reason",
    "cause",
    "message",
    "order_id",
    "position",
    "attempts",
    "failed",
    "retryable",
)
_MAX_BATCHES = 20
"""Calls per click, each for up to a thousand failures; the rest stays in the list."""
_Response = TypeVar("_Response", pb.RetryFailuresResponse, pb.DismissFailuresResponse)


@dataclass(frozen=True, kw_only=True)
class FailureGroupView:
    """Failures of one kind and reason."""

    group: operator_pb2.FailureGroup
    kind: str
    reason: str
    cause: str

    @property
    def for_operators(self) -> bool:
        """Whether operators have to look at them: not if the file or the address is the reason."""
        return self.cause == "service"


class FailurePages:
    """The list of failures, and its actions."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List groups and failures; optionally of one group or one order."""
        client, token = operator.client, page_token(request)
        span = TimeFilter.of(request.query_params)
        criteria = _filter(request.query_params)
        found = await client.call(
            client.stub.ListFailures, pb.ListFailuresRequest(page_size=PAGE_SIZE, page_token=token, filter=criteria)
        )
        filters = _query(criteria) | span.query
        return self._renderer.page(
            request,
            operator,
            "failures.html",
            groups=[
                FailureGroupView(
                    group=group, kind=_kind(group.kind), reason=_reason(group.reason), cause=_cause(group.cause)
                )
                for group in found.groups
            ],
            failures=[
                (entry, _kind(entry.kind), _reason(entry.failure.reason), _cause(entry.cause))
                for entry in found.failures
            ],
            filters=filters,
            span=span,
            periods=CHOICES,
            causes=CAUSES,
            exports={name: list_url(f"/failures/export.{name}", filters) for name in ("csv", "json")},
            pager=Pager(page="/failures", token=token, next_token=found.next_page_token, filters=filters),
        )

    async def export(self, request: Request, operator: SignedInOperator) -> Response:
        """Return all failures that match the filter of the URL as a file."""
        rows = self._rows(operator, _filter(request.query_params))
        return export(rows, COLUMNS, name="failures", file_format=request.path_params["file_format"])

    async def _rows(self, operator: SignedInOperator, criteria: operator_pb2.FailureFilter) -> AsyncIterator[Row]:
        client = operator.client
        async for entry in client.rows(client.stub.ListFailures, pb.ListFailuresRequest(filter=criteria), "failures"):
            yield _row(entry)

    async def retry(self, request: Request, operator: SignedInOperator) -> Response:
        """Retry the selected failures."""
        client, retried, skipped = operator.client, 0, 0
        fields = await read_fields(request)
        selection, back = _selection(fields), _back(fields)
        if selection is None:
            return redirect_to(back, "none_selected")
        retry = pb.RetryFailuresRequest(**selection)
        async for response in _batches(lambda: client.call(client.stub.RetryFailures, retry), lambda r: r.retried):
            retried += response.retried
            skipped += len(response.skipped)
        return redirect_to(back, "not_retryable" if skipped and not retried else "retried", retried)

    async def dismiss(self, request: Request, operator: SignedInOperator) -> Response:
        """Remove the selected failures from the list."""
        client, dismissed = operator.client, 0
        fields = await read_fields(request)
        selection, back = _selection(fields), _back(fields)
        if selection is None:
            return redirect_to(back, "none_selected")
        dismiss = pb.DismissFailuresRequest(**selection)
        async for response in _batches(
            lambda: client.call(client.stub.DismissFailures, dismiss), lambda r: r.dismissed
        ):
            dismissed += response.dismissed
        return redirect_to(back, "dismissed", dismissed)


async def _batches(
    call: Callable[[], Awaitable[_Response]], changed: Callable[[_Response], int]
) -> AsyncIterator[_Response]:
    """Repeat a call until it changes nothing or nothing remains of its selection."""
    for _ in range(_MAX_BATCHES):
        response = await call()
        yield response
        if not response.remaining or not changed(response):
            return


def _selection(fields: FormData) -> dict[str, Any] | None:
    """Return the failures of a form: the one of a row's button, all of a group, or the selected ones; None: none."""
    if "all" in fields:
        return {"all": True, "filter": _filter(fields)}
    one = str(fields.get("one", ""))
    ids = [one] if one else [str(value) for value in fields.getlist("failure_id")]
    return {"failure_ids": ids} if ids else None


def _filter(values: Mapping[str, object]) -> operator_pb2.FailureFilter:
    criteria = operator_pb2.FailureFilter(order_id=str(values.get("order", "")))
    if kind := value_of(operator_pb2.FailureKind, str(values.get("kind", ""))):
        criteria.kind = kind
    if reason := value_of(order_pb2.FailureReason, str(values.get("reason", ""))):
        criteria.reason = reason
    if cause := value_of(operator_pb2.FailureCause, str(values.get("cause", ""))):
        criteria.cause = cause
    begin, end = TimeFilter.of(values).span(datetime.now(UTC))
    if begin:
        criteria.from_time.CopyFrom(begin)
    if end:
        criteria.to_time.CopyFrom(end)
    return criteria


def _query(criteria: operator_pb2.FailureFilter) -> dict[str, str]:
    """Return a filter, without its times, as query parameters."""
    return {
        "kind": _kind(criteria.kind),
        "reason": _reason(criteria.reason),
        "cause": _cause(criteria.cause),
        "order": criteria.order_id,
    }


def _back(fields: FormData) -> str:
    """Return the page to go back to: that of the order, if the form is on it, else the list with its filter."""
    order_id = find_order_id(str(fields.get("order", "")))
    if fields.get("back") == "order" and order_id:
        return list_url(f"/orders/{order_id}", {})
    # The groups and rows of a page have filters of their own; those of the page begin with "page_".
    names = ("kind", "reason", "cause", "order", "period", "from", "to", "zone")
    return list_url("/failures", {name: str(fields.get(f"page_{name}", "")) for name in names})


def _row(entry: operator_pb2.FailureEntry) -> Row:
    return {
        "failure_id": entry.failure_id,
        "kind": _kind(entry.kind),
        "reason": _reason(entry.failure.reason),
        "cause": _cause(entry.cause),
        "message": entry.failure.message,
        "order_id": entry.order_id,
        "position": entry.position,
        "attempts": entry.attempts,
        "failed": time_text(entry.fail_time),
        "retryable": entry.retryable,
    }


def _cause(cause: operator_pb2.FailureCause.ValueType) -> str:
    return short_name(operator_pb2.FailureCause, cause)


def _kind(kind: operator_pb2.FailureKind.ValueType) -> str:
    return short_name(operator_pb2.FailureKind, kind)


def _reason(reason: order_pb2.FailureReason.ValueType) -> str:
    return short_name(order_pb2.FailureReason, reason)
