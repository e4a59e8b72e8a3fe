"""The trace of an order: its steps from the upload to the e-mail, as a timeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name
from services.web.operator.renderer import OperatorRenderer, SignedInOperator
from services.web.orders.view import order_state


@dataclass(frozen=True, kw_only=True)
class TraceStepView:
    """A step, and its bar: begin and length in per cent of the whole timeline."""

    step: operator_pb2.TraceStep
    kind: str
    begin: float
    length: float


class OrderTracePages:
    """The page of one order."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def show(self, request: Request, operator: SignedInOperator) -> Response:
        """Show an order with its timeline."""
        client = operator.client
        wanted = pb.GetOrderTraceRequest(order_id=request.path_params["order_id"])
        trace = await client.call(client.stub.GetOrderTrace, wanted)
        return self._renderer.page(
            request,
            operator,
            "order_trace.html",
            order=trace.order.order,
            principal=trace.order.principal,
            state=order_state(trace.order.order),
            steps=_step_views(trace.steps),
            omitted_images=trace.omitted_images,
        )


def _step_views(steps: Sequence[operator_pb2.TraceStep]) -> list[TraceStepView]:
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
