"""The list of orders: filter, search, export."""

from collections.abc import AsyncIterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.forms import read_fields
from services.web.operator.exports import Row, export
from services.web.operator.orders.order_actions import ACTIONS
from services.web.operator.orders.order_filters import STATES, OrderFilters, find_short_id
from services.web.operator.paging import Pager, list_url, page_token
from services.web.operator.renderer import HOME, OperatorRenderer, SignedInOperator
from services.web.operator.search_terms import SearchTerms
from services.web.operator.time_filter import CHOICES
from services.web.orders.pages import find_order_id
from services.web.orders.view import order_state

PAGE_SIZE = 50
MIN_ADDRESS = 3
COLUMNS = (
    "order_id",
    "state",
    "created",
    "finished",
    "expires",
    "images",
    "succeeded",
    "failed",
    "cancelled",
    "address",
    "principal",
)


class OrderListPages:
    """The list of orders."""

    def __init__(self, renderer: OperatorRenderer, terms: SearchTerms) -> None:
        self._renderer = renderer
        self._terms = terms

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the newest orders that match the filter of the URL."""
        filters, token = OrderFilters.of(request.query_params, self._terms), page_token(request)
        return await self._page(request, operator, filters, token)

    async def search(self, request: Request, operator: SignedInOperator) -> Response:
        """Redirect to the orders that a form looks for: by POST, so that no URL or log contains an address."""
        fields = await read_fields(request)
        filters = OrderFilters.of(fields, self._terms)
        search = str(fields.get("search", "")).strip()
        if order_id := find_order_id(search):
            return RedirectResponse(f"{HOME}/orders/{order_id}", 303)
        query = filters.query | {"id": "", "q": ""}
        if short_id := find_short_id(search):
            found = await self._find(operator, short_id)
            if len(found) == 1:
                return RedirectResponse(f"{HOME}/orders/{found[0]}", 303)
            # Otherwise "beef" may be a part of an address.
            if found or not operator.may_act:
                return RedirectResponse(list_url("/orders", query | {"id": short_id}), 303)
        if search and not operator.may_act:
            return self._renderer.page(request, operator, "refused.html", status=403, refused=403, message="")
        if 0 < len(search) < MIN_ADDRESS:
            return RedirectResponse(list_url("/orders", query | {"done": "search_too_short"}), 303)
        return RedirectResponse(list_url("/orders", query | {"q": self._terms.remember(search)}), 303)

    async def export(self, request: Request, operator: SignedInOperator) -> Response:
        """Return all orders that match the filter of the URL as a file."""
        filters = OrderFilters.of(request.query_params, self._terms)
        rows = self._rows(operator, filters.criteria)
        return export(rows, COLUMNS, name="orders", file_format=request.path_params["file_format"])

    async def _find(self, operator: SignedInOperator, short_id: str) -> Sequence[str]:
        client = operator.client
        wanted = pb.ListOrdersRequest(page_size=2, filter=operator_pb2.OrderFilter(order_id_prefix=short_id))
        return [entry.order.order_id for entry in (await client.call(client.stub.ListOrders, wanted)).orders]

    async def _page(self, request: Request, operator: SignedInOperator, filters: OrderFilters, token: str) -> Response:
        client = operator.client
        wanted = pb.ListOrdersRequest(page_size=PAGE_SIZE, page_token=token, filter=filters.criteria)
        found = await client.call(client.stub.ListOrders, wanted)
        return self._renderer.page(
            request,
            operator,
            "orders.html",
            orders=[(entry.order, order_state(entry.order), entry.principal) for entry in found.orders],
            states=STATES,
            periods=CHOICES,
            filters=filters,
            actions=ACTIONS,
            search_forgotten=bool(request.query_params.get("q")) and not filters.address,
            exports={name: list_url(f"/orders/export.{name}", filters.query) for name in ("csv", "json")},
            pager=Pager(page="/orders", token=token, next_token=found.next_page_token, filters=filters.query),
        )

    async def _rows(self, operator: SignedInOperator, criteria: operator_pb2.OrderFilter) -> AsyncIterator[Row]:
        client = operator.client
        async for entry in client.rows(client.stub.ListOrders, pb.ListOrdersRequest(filter=criteria), "orders"):
            yield _row(entry)


def _row(entry: operator_pb2.OrderEntry) -> Row:
    order, counts = entry.order, entry.order.counts
    return {
        "order_id": order.order_id,
        "state": order_state(order),
        "created": time_text(order.create_time),
        "finished": time_text(order.finish_time),
        "expires": time_text(order.expire_time),
        "images": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "address": order.email_hint,
        "principal": entry.principal,
    }


def time_text(time: Timestamp) -> str:
    """Return a time for programs (ISO 8601, UTC); empty if it is unset."""
    return time.ToJsonString() if time.ByteSize() else ""
