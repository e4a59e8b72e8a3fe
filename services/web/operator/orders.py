"""Orders: a list to filter and to search, and the way of each from the upload to the e-mail."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.newsletter.pages import read_fields
from services.web.operator.gate import HOME, Gate, Operator
from services.web.orders.view import order_state

PAGE = 50
STATES = ("queued", "running", "succeeded", "partially_failed", "failed", "cancelled", "expired")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Step:
    """A step of an order's way, and where its bar lies on the whole of it (0 to 100)."""

    step: operator_pb2.TraceStep
    kind: str
    begin: float
    length: float


class Orders:
    """The pages of orders."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def list(self, request: Request, operator: Operator) -> Response:
        """The newest, perhaps in one state alone."""
        state = request.query_params.get("state", "")
        which = operator_pb2.OrderFilter()
        if state in STATES:
            which.states.append(order_pb2.OrderState.Value(f"ORDER_STATE_{state.upper()}"))
        return await self._page(request, operator, which, request.query_params.get("page", ""), state=state)

    async def search(self, request: Request, operator: Operator) -> Response:
        """Go to the order of an id, or list those of an address, which stays out of addresses of pages, and of logs."""
        fields = await read_fields(request)
        sought = str(fields.get("search", "")).strip()
        if found := _ID.search(sought):
            return RedirectResponse(f"{HOME}/orders/{found[0].lower()}", 303)
        if "@" not in sought:
            return self._show(request, operator, pb.ListOrdersResponse(), search=sought)
        which = operator_pb2.OrderFilter(email=sought)
        return await self._page(request, operator, which, str(fields.get("page", "")), search=sought)

    async def trace(self, request: Request, operator: Operator) -> Response:
        """The way of one order."""
        calls = operator.calls
        order_id = request.path_params["order_id"]
        trace = await calls(calls.stub.GetOrderTrace, pb.GetOrderTraceRequest(order_id=order_id))
        return self._gate.page(
            request,
            operator,
            "trace.html",
            entry=trace.order,
            order=trace.order.order,
            state=order_state(trace.order.order),
            steps=_laid_out(trace.steps),
            left_out=trace.omitted_images,
        )

    async def _page(
        self,
        request: Request,
        operator: Operator,
        which: operator_pb2.OrderFilter,
        token: str,
        *,
        state: str = "",
        search: str = "",
    ) -> Response:
        calls = operator.calls
        wanted = pb.ListOrdersRequest(page_size=PAGE, page_token=token, filter=which)
        return self._show(
            request, operator, await calls(calls.stub.ListOrders, wanted), state=state, search=search, first=not token
        )

    def _show(
        self,
        request: Request,
        operator: Operator,
        found: pb.ListOrdersResponse,
        *,
        state: str = "",
        search: str = "",
        first: bool = True,
    ) -> Response:
        return self._gate.page(
            request,
            operator,
            "orders.html",
            orders=[(entry.order, order_state(entry.order), entry.principal) for entry in found.orders],
            states=STATES,
            state=state,
            search=search,
            next_page=found.next_page_token,
            next_query=urlencode({"state": state, "page": found.next_page_token}),
            is_first=first,
        )


def _laid_out(steps: Sequence[operator_pb2.TraceStep]) -> list[Step]:
    begins = [step.start_time.ToMicroseconds() for step in steps]
    ends = [begin + step.duration.ToMicroseconds() for begin, step in zip(begins, steps, strict=True)]
    first = min(begins, default=0)
    whole = max(1, max(ends, default=0) - first)
    return [
        Step(
            step,
            operator_pb2.TraceKind.Name(step.kind).removeprefix("TRACE_KIND_").lower(),
            min(99.2, 100 * (begin - first) / whole),
            max(0.8, 100 * (end - begin) / whole),
        )
        for step, begin, end in zip(steps, begins, ends, strict=True)
    ]
