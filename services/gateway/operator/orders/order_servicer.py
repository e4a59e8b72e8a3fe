"""OperatorService: orders, their traces, and statistics."""

from collections.abc import Sequence

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.clock import SECOND
from services.common.db.orders import order_lists
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.api_keys import Role
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.orders import ImageState
from services.gateway.operator.base import Context, OperatorBase
from services.gateway.operator.fields import parse_seconds
from services.gateway.operator.orders import order_trace
from services.gateway.operator.orders.order_filters import parse_order_filter
from services.gateway.operator.orders.order_images import order_image
from services.gateway.orders.messages.responses import order_message
from services.gateway.rpc import paging
from services.gateway.rpc.callers import CURRENT_CALL
from services.gateway.rpc.fields import Violations, parse_id

MAX_POINTS = 500


class OrderServicer(OperatorBase):
    """The RPCs of orders and statistics."""

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        """List orders."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        filter_ = parse_order_filter(request.filter, CURRENT_CALL.get().caller.role)
        found = await self.read(
            lambda session: order_lists.list_orders(session, filter_, before=before, limit=size + 1)
        )
        page, last = paging.split_page(found, size)
        return pb.ListOrdersResponse(
            orders=map(_entry, page),
            next_page_token=paging.make_token(last.order.created_at, last.order.id) if last else "",
        )

    async def GetOrderTrace(self, request: pb.GetOrderTraceRequest, context: Context) -> pb.GetOrderTraceResponse:
        """Return the trace of an order."""
        order_id = parse_id(request.order_id)
        with_images = not request.without_images
        trace = await self.read(lambda session: order_lists.get_order_trace(session, order_id, with_images=with_images))
        return pb.GetOrderTraceResponse(
            order=_entry(trace.snapshot),
            steps=order_trace.steps(trace),
            omitted_images=trace.snapshot.order.total - len(trace.images),
        )

    async def ListOrderImages(self, request: pb.ListOrderImagesRequest, context: Context) -> pb.ListOrderImagesResponse:
        """List the images of an order."""
        order_id, size = parse_id(request.order_id), paging.parse_size(request.page_size)
        after = paging.parse_index(request.page_token)
        states = _parse_image_states(request.states)
        found = await self.read(
            lambda session: order_lists.list_images(session, order_id, after=after, limit=size + 1, states=states)
        )
        page, last = paging.split_page(found.images, size)
        with_name = CURRENT_CALL.get().caller.role is Role.ADMIN
        return pb.ListOrderImagesResponse(
            images=[
                order_image(image, created_at=found.order.created_at, now=found.read_at, with_name=with_name)
                for image in page
            ],
            next_page_token=paging.make_token(last.position) if last else "",
        )

    async def GetStatistics(self, request: pb.GetStatisticsRequest, context: Context) -> pb.GetStatisticsResponse:
        """Return a time series of rates and durations."""
        span = parse_seconds(request.span, "span", minimum=1) if request.HasField("span") else 3600
        step = parse_seconds(request.step, "step", minimum=1) if request.HasField("step") else max(1, span // 60)
        if span > step * MAX_POINTS:
            raise InvalidArgument(Violation("step", f"results in more than {MAX_POINTS} points"))
        return await self.read(lambda session: self.statistics.answer(session, span=span * SECOND, step=step * SECOND))


def _entry(snapshot: Snapshot) -> operator_pb2.OrderEntry:
    message = order_message(snapshot)
    message.ClearField("estimated_remaining")
    return operator_pb2.OrderEntry(order=message, principal=snapshot.order.principal)


def _parse_image_states(values: Sequence[int]) -> list[ImageState]:
    violations = Violations()
    states = []
    for index, value in enumerate(values):
        try:
            states.append(ImageState(order_pb2.ImageState.Name(value).removeprefix("IMAGE_STATE_")))  # type: ignore[arg-type]
        except ValueError:
            violations.add(f"states[{index}]", f"{value} is not a state")
    violations.raise_if_any()
    return states
