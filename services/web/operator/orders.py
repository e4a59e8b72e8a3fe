"""Orders: a list with a filter and a search."""

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.enums import value_of
from services.web.http.forms import read_fields
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import HOME, OperatorRenderer, SignedInOperator
from services.web.orders.pages import find_order_id
from services.web.orders.view import order_state

PAGE_SIZE = 50
STATES = ("queued", "running", "succeeded", "partially_failed", "failed", "cancelled", "expired")


class OrderListPages:
    """The list of orders."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the newest orders, optionally in one state."""
        state = request.query_params.get("state", "")
        criteria = operator_pb2.OrderFilter()
        if value := value_of(order_pb2.OrderState, state):
            criteria.states.append(value)
        return await self._list(request, operator, criteria, page_token(request), state=state)

    async def search(self, request: Request, operator: SignedInOperator) -> Response:
        """Open the order with an id, or list those of an address: by POST, so that no URL or log contains it."""
        fields = await read_fields(request)
        search = str(fields.get("search", "")).strip()
        if order_id := find_order_id(search):
            return RedirectResponse(f"{HOME}/orders/{order_id}", 303)
        if "@" not in search:
            return self._page(request, operator, pb.ListOrdersResponse(), "", search=search)
        criteria = operator_pb2.OrderFilter(email=search)
        return await self._list(request, operator, criteria, str(fields.get("page", "")), search=search)

    async def _list(
        self,
        request: Request,
        operator: SignedInOperator,
        criteria: operator_pb2.OrderFilter,
        token: str,
        **shown: str,
    ) -> Response:
        client = operator.client
        wanted = pb.ListOrdersRequest(page_size=PAGE_SIZE, page_token=token, filter=criteria)
        found = await client.call(client.stub.ListOrders, wanted)
        return self._page(request, operator, found, token, **shown)

    def _page(
        self,
        request: Request,
        operator: SignedInOperator,
        found: pb.ListOrdersResponse,
        token: str,
        *,
        state: str = "",
        search: str = "",
    ) -> Response:
        return self._renderer.page(
            request,
            operator,
            "orders.html",
            orders=[(entry.order, order_state(entry.order), entry.principal) for entry in found.orders],
            states=STATES,
            state=state,
            search=search,
            pager=Pager(page="/orders", token=token, next_token=found.next_page_token, filters={"state": state}),
        )
