"""The page of one order: what it is, what can be done with it, its images, its timeline, what was done to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name, value_of
from services.web.operator.orders.order_actions import DEFAULT_DAYS, MAX_DAYS
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator
from services.web.orders.view import is_open, order_state

PAGE_SIZE = 50
IMAGE_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
AUDIT_ENTRIES = 20


@dataclass(frozen=True, kw_only=True)
class TraceStepView:
    """A step, and its bar: begin and length in per cent of the whole timeline."""

    step: operator_pb2.TraceStep
    kind: str
    begin: float
    length: float


@dataclass(frozen=True, kw_only=True)
class OrderImageView:
    """An image of the table."""

    image: operator_pb2.OrderImage

    @property
    def state(self) -> str:
        """The name of its state."""
        return short_name(order_pb2.ImageState, self.image.state)

    @property
    def reason(self) -> str:
        """The name of the reason of its failure; empty without one."""
        return short_name(order_pb2.FailureReason, self.image.failure.reason)

    @property
    def cause(self) -> str:
        """The name of the cause of its failure; empty without one."""
        return short_name(operator_pb2.FailureCause, self.image.cause)

    @property
    def check(self) -> str:
        """The state of the check of its result; empty if there was none."""
        return short_name(order_pb2.CheckState, self.image.check)


class OrderPage:
    """The page of one order."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def show(self, request: Request, operator: SignedInOperator) -> Response:
        """Show an order with a page of its images, optionally of those in one state."""
        client, order_id = operator.client, request.path_params["order_id"]
        state, token = request.query_params.get("images", ""), page_token(request)
        wanted = pb.ListOrderImagesRequest(order_id=order_id, page_size=PAGE_SIZE, page_token=token)
        if value := value_of(order_pb2.ImageState, state):
            wanted.states.append(value)
        trace, images, entries, groups = await asyncio.gather(
            client.call(client.stub.GetOrderTrace, pb.GetOrderTraceRequest(order_id=order_id, without_images=True)),
            client.call(client.stub.ListOrderImages, wanted),
            client.call(
                client.stub.ListAuditEntries,
                pb.ListAuditEntriesRequest(page_size=AUDIT_ENTRIES, subject=f"orders/{order_id}"),
            ),
            self._failures(operator, order_id),
        )
        order = trace.order.order
        retryable = _retryable(order, groups)
        return self._renderer.page(
            request,
            operator,
            "order.html",
            order=order,
            principal=trace.order.principal,
            state=order_state(order),
            possible=_possible(order, retryable),
            retryable=retryable,
            days=DEFAULT_DAYS,
            max_days=MAX_DAYS,
            steps=step_views(trace.steps),
            images=[OrderImageView(image=image) for image in images.images],
            image_states=IMAGE_STATES,
            shown_state=state if value else "",
            entries=entries.entries,
            # For browsers without scripts, which reload the whole page.
            refreshes=is_open(order),
            pager=Pager(
                page=f"/orders/{order.order_id}",
                token=token,
                next_token=images.next_page_token,
                filters={"images": state if value else ""},
            ),
        )

    @staticmethod
    async def _failures(operator: SignedInOperator, order_id: str) -> Sequence[operator_pb2.FailureGroup]:
        client = operator.client
        wanted = pb.ListFailuresRequest(page_size=1, filter=operator_pb2.FailureFilter(order_id=order_id))
        return (await client.call(client.stub.ListFailures, wanted)).groups


def _retryable(order: order_pb2.Order, groups: Sequence[operator_pb2.FailureGroup]) -> int:
    """Return how many failures of the order can be retried; of one that is over, events for its webhook only."""
    over = order_state(order) in {"cancelled", "expired"}
    return sum(group.retryable for group in groups if not over or group.kind == operator_pb2.FAILURE_KIND_WEBHOOK)


def _possible(order: order_pb2.Order, retryable: int) -> dict[str, Any]:
    """Return which actions can change the order now."""
    state = order_state(order)
    ended = state in {"succeeded", "partially_failed", "failed"}
    return {
        "send": ended and bool(order.email_hint),
        "retry": bool(retryable),
        "revise": ended and order.HasField("originals_expire_time"),
        "extend": state != "expired",
        "cancel": is_open(order),
        "delete": True,
    }


def step_views(steps: Sequence[operator_pb2.TraceStep]) -> list[TraceStepView]:
    """Return the steps of a timeline with their bars."""
    begins = [step.start_time.ToMicroseconds() for step in steps]
    ends = [begin + step.duration.ToMicroseconds() for begin, step in zip(begins, steps, strict=True)]
    first = min(begins, default=0)
    whole = max(1, max(ends, default=0) - first)
    return [
        TraceStepView(
            step=step,
            kind=short_name(operator_pb2.TraceKind, step.kind),
            # The shortest bar is 0.8 % long, and fits at the end.
            begin=min(99.2, 100 * (begin - first) / whole),
            length=max(0.8, 100 * (end - begin) / whole),
        )
        for step, begin, end in zip(steps, begins, ends, strict=True)
    ]
