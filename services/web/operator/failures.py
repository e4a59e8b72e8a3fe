"""Failed images and e-mails by reason: retry or dismiss one, some or all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from services.common.domain.retries import RETRYABLE
from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

PAGE_SIZE = 50
_MAX_BATCHES = 20
"""Calls per click, each for up to a thousand failures; the rest stays in the list."""
_Response = TypeVar("_Response", pb.RetryFailuresResponse, pb.DropFailuresResponse)


@dataclass(frozen=True, kw_only=True)
class FailureGroupView:
    """Failures of one kind and reason."""

    group: operator_pb2.FailureGroup
    kind: str
    reason: str

    @property
    def retryable(self) -> bool:
        """Whether a retry may succeed: always for e-mails; for images only if the file is not the reason."""
        return self.kind == "email" or self.reason.upper() in RETRYABLE


class FailurePages:
    """The list of failures, and its actions."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List groups and failures; optionally of one group or one order."""
        client, token = operator.client, page_token(request)
        criteria = _filter(request.query_params)
        found = await client.call(
            client.stub.ListFailures,
            pb.ListFailuresRequest(page_size=PAGE_SIZE, page_token=token, filter=criteria),
        )
        filters = {"kind": _kind(criteria.kind), "reason": _reason(criteria.reason), "order": criteria.order_id}
        return self._renderer.page(
            request,
            operator,
            "failures.html",
            groups=[
                FailureGroupView(group=group, kind=_kind(group.kind), reason=_reason(group.reason))
                for group in found.groups
            ],
            failures=[(entry, _kind(entry.kind), _reason(entry.failure.reason)) for entry in found.failures],
            filters=filters,
            pager=Pager(page="/failures", token=token, next_token=found.next_page_token, filters=filters),
        )

    async def retry(self, request: Request, operator: SignedInOperator) -> Response:
        """Retry the selected failures."""
        client, retried, skipped = operator.client, 0, 0
        selection = _selection(await read_fields(request))
        if selection is None:
            return redirect_done("/failures", "none_selected")
        retry = pb.RetryFailuresRequest(**selection)
        async for response in _batches(lambda: client.call(client.stub.RetryFailures, retry), lambda r: r.retried):
            retried += response.retried
            skipped += len(response.skipped)
        return redirect_done("/failures", "not_retryable" if skipped and not retried else "retried", retried)

    async def dismiss(self, request: Request, operator: SignedInOperator) -> Response:
        """Remove the selected failures from the list."""
        client, dismissed = operator.client, 0
        selection = _selection(await read_fields(request))
        if selection is None:
            return redirect_done("/failures", "none_selected")
        drop = pb.DropFailuresRequest(**selection)
        async for response in _batches(lambda: client.call(client.stub.DropFailures, drop), lambda r: r.dropped):
            dismissed += response.dropped
        return redirect_done("/failures", "dismissed", dismissed)


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
    return criteria


def _kind(kind: operator_pb2.FailureKind.ValueType) -> str:
    return short_name(operator_pb2.FailureKind, kind)


def _reason(reason: order_pb2.FailureReason.ValueType) -> str:
    return short_name(order_pb2.FailureReason, reason)
