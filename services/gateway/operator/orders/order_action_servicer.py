"""OperatorService: actions on orders."""

from collections.abc import Callable
from uuid import UUID

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb

from services.common.db.orders.order_selection import OrderAction
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.fields import parse_seconds
from services.gateway.operator.orders.order_filters import parse_selection
from services.gateway.orders.messages.blur_spec import parse_spec
from services.gateway.rpc import paging
from services.gateway.rpc.callers import CURRENT_CALL
from services.gateway.rpc.fields import Violations

MAX_EXTENSION_SECONDS = 365 * 86_400

_Request = (
    pb.CancelOrdersRequest
    | pb.DeleteOrdersRequest
    | pb.SendOrdersRequest
    | pb.ReviseOrdersRequest
    | pb.ExtendOrdersRequest
)


class OrderActionServicer(OperatorBase):
    """The RPCs that change orders."""

    async def CancelOrders(self, request: pb.CancelOrdersRequest, context: Context) -> pb.CancelOrdersResponse:
        """Cancel orders."""
        apply = self.order_actions.cancel(audit_context())
        return pb.CancelOrdersResponse(outcome=await self._act(OrderAction.CANCEL, request, apply))

    async def DeleteOrders(self, request: pb.DeleteOrdersRequest, context: Context) -> pb.DeleteOrdersResponse:
        """Delete orders."""
        apply = self.order_actions.delete(audit_context())
        return pb.DeleteOrdersResponse(outcome=await self._act(OrderAction.DELETE, request, apply))

    async def SendOrders(self, request: pb.SendOrdersRequest, context: Context) -> pb.SendOrdersResponse:
        """E-mail the results of orders."""
        apply = self.order_actions.send(audit_context())
        return pb.SendOrdersResponse(outcome=await self._act(OrderAction.SEND, request, apply))

    async def ReviseOrders(self, request: pb.ReviseOrdersRequest, context: Context) -> pb.ReviseOrdersResponse:
        """Blur the images of orders again."""
        spec: str | None = None
        if request.HasField("spec"):
            violations = Violations()
            with violations.collect("spec"):
                parsed = parse_spec(request.spec)
                spec = parsed.to_json()
            violations.raise_if_any()
            await self.models.check({"spec": parsed})
        apply = self.order_actions.revise(audit_context(), spec)
        return pb.ReviseOrdersResponse(outcome=await self._act(OrderAction.REVISE, request, apply))

    async def ExtendOrders(self, request: pb.ExtendOrdersRequest, context: Context) -> pb.ExtendOrdersResponse:
        """Let orders expire later."""
        seconds = parse_seconds(request.extension, "extension", minimum=1, maximum=MAX_EXTENSION_SECONDS)
        apply = self.order_actions.extend(audit_context(), seconds)
        return pb.ExtendOrdersResponse(outcome=await self._act(OrderAction.EXTEND, request, apply))

    async def _act(
        self, action: OrderAction, request: _Request, apply: Callable[[UUID], object]
    ) -> operator_pb2.OrderActionOutcome:
        selection = parse_selection(request.selection, CURRENT_CALL.get().caller.role)
        outcome = await self.threads.run_to_end(
            self.order_actions.act,
            action,
            selection,
            apply,
            after=paging.parse_time_and_id(request.page_token),
            validate_only=request.validate_only,
        )
        return operator_pb2.OrderActionOutcome(
            matched=outcome.matched,
            changed=outcome.changed,
            skipped=[
                operator_pb2.SkippedOrder(order_id=str(order_id), message=message)
                for order_id, message in outcome.skipped
            ],
            next_page_token=paging.make_token(*outcome.next_place) if outcome.next_place else "",
        )
