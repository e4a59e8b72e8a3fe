"""What administrators do with orders: with one, with some, or with all that a filter selects, after a dry run."""

import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.forms import read_fields
from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.operator.order_filters import OrderFilters
from services.web.operator.paging import list_url
from services.web.operator.renderer import OperatorRenderer, SignedInOperator
from services.web.operator.search_terms import SearchTerms

ACTIONS = ("send", "revise", "extend", "cancel", "delete")
DEFAULT_DAYS, MAX_DAYS = 7, 365
MAX_SECONDS = 20.0
"""How long one click may act; the rest is left for another."""

_REQUESTS: dict[str, Any] = {
    "send": pb.SendOrdersRequest,
    "revise": pb.ReviseOrdersRequest,
    "extend": pb.ExtendOrdersRequest,
    "cancel": pb.CancelOrdersRequest,
    "delete": pb.DeleteOrdersRequest,
}


@dataclass(frozen=True, kw_only=True)
class Acted:
    """What an action did."""

    changed: int
    skipped: list[operator_pb2.SkippedOrder]
    left: bool
    """Whether orders are left for another click."""


class OrderActionPages:
    """The dry run of an action, and the action."""

    def __init__(self, renderer: OperatorRenderer, terms: SearchTerms) -> None:
        self._renderer = renderer
        self._terms = terms

    async def act(self, request: Request, operator: SignedInOperator) -> Response:
        """Show how many orders an action would change; with `confirmed`, change them."""
        fields = await read_fields(request)
        action = str(fields.get("action", ""))
        if action not in ACTIONS:
            raise ProblemError(NOT_FOUND)
        filters = OrderFilters.of(fields, self._terms)
        lost = bool(fields.get("q")) and not filters.address
        selection = _selection(fields, filters)
        if selection is None or (lost and selection.all):
            return RedirectResponse(list_url("/orders", filters.query | {"done": "no_orders_selected"}), 303)
        if not fields.get("confirmed"):
            return await self._dry_run(request, operator, action, selection, fields=fields, filters=filters)
        acted = await self._act(operator, action, selection, _days(fields))
        return self._answer(request, operator, action, acted, selection=selection, filters=filters)

    async def _dry_run(
        self,
        request: Request,
        operator: SignedInOperator,
        action: str,
        selection: operator_pb2.OrderSelection,
        *,
        fields: FormData,
        filters: OrderFilters,
    ) -> Response:
        days = _days(fields)
        matched = (await _call(operator, action, selection, days, "", validate_only=True)).matched
        everything = (await _call(operator, "delete", selection, days, "", validate_only=True)).matched
        return self._renderer.page(
            request,
            operator,
            "order_action.html",
            action=action,
            matched=matched,
            selected=everything,
            days=days,
            order_ids=list(selection.order_ids),
            filters=filters,
            back=list_url("/orders", filters.query),
        )

    async def _act(
        self, operator: SignedInOperator, action: str, selection: operator_pb2.OrderSelection, days: int
    ) -> Acted:
        until = time.monotonic() + MAX_SECONDS
        changed, token = 0, ""
        skipped: list[operator_pb2.SkippedOrder] = []
        while True:
            outcome = await _call(operator, action, selection, days, token, validate_only=False)
            changed += outcome.changed
            skipped += outcome.skipped
            token = outcome.next_page_token
            if not token or time.monotonic() > until:
                return Acted(changed=changed, skipped=skipped, left=bool(token))

    def _answer(
        self,
        request: Request,
        operator: SignedInOperator,
        action: str,
        acted: Acted,
        *,
        selection: operator_pb2.OrderSelection,
        filters: OrderFilters,
    ) -> Response:
        one = selection.order_ids[0] if len(selection.order_ids) == 1 else ""
        if one and not acted.changed:
            message = acted.skipped[0].message if acted.skipped else ""
            return self._renderer.page(request, operator, "refused.html", status=409, refused=409, message=message)
        done = {"done": f"orders_{action}" + ("_some" if acted.left else ""), "n": str(acted.changed)}
        if one and action != "delete":
            return RedirectResponse(list_url(f"/orders/{one}", done), 303)
        return RedirectResponse(list_url("/orders", filters.query | done), 303)


async def _call(
    operator: SignedInOperator,
    action: str,
    selection: operator_pb2.OrderSelection,
    days: int,
    token: str,
    *,
    validate_only: bool,
) -> operator_pb2.OrderActionOutcome:
    client = operator.client
    wanted = _REQUESTS[action](selection=selection, page_token=token, validate_only=validate_only)
    if action == "extend":
        wanted.extension.CopyFrom(Duration(seconds=days * 86_400))
    call: Any = getattr(client.stub, type(wanted).__name__.removesuffix("Request"))
    outcome: operator_pb2.OrderActionOutcome = (await client.call(call, wanted, timeout=60)).outcome
    return outcome


def _selection(fields: FormData, filters: OrderFilters) -> operator_pb2.OrderSelection | None:
    """Return the orders of a form: all that match its filter, or those that are ticked; None: none."""
    if fields.get("scope") == "all":
        return operator_pb2.OrderSelection(all=True, filter=filters.criteria)
    ids = [str(value) for value in fields.getlist("order_id")]
    return operator_pb2.OrderSelection(order_ids=ids) if ids else None


def _days(fields: FormData) -> int:
    text = str(fields.get("days", "")).strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else DEFAULT_DAYS
    return max(1, min(number, MAX_DAYS))
