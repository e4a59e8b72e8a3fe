"""What administrators do with orders: with one, with some, or with all that a filter selects, after a dry run."""

import time
from dataclasses import dataclass, field
from typing import Any

from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as pb
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.web.http.forms import read_fields
from services.web.http.problems import NOT_FOUND, ProblemError
from services.web.operator.orders.order_filters import OrderFilters
from services.web.operator.paging import list_url
from services.web.operator.renderer import OperatorRenderer, SignedInOperator
from services.web.operator.search_terms import SearchTerms

DEFAULT_DAYS, MAX_DAYS = 7, 365
MAX_SECONDS = 20.0
"""How long one click may act; the rest is left for another."""


@dataclass(frozen=True, kw_only=True)
class ActionKind:
    """An action as the pages know it; its texts are `operator_order_<name>` and `operator_order_<name>_more`."""

    request: Any
    """The request of its RPC, which is called as the request without the word."""
    takes_days: bool = False
    destructive: bool = False
    keeps_order: bool = True
    """Whether the order has a page afterwards."""


ACTIONS = {
    "send": ActionKind(request=pb.SendOrdersRequest),
    "revise": ActionKind(request=pb.ReviseOrdersRequest),
    "extend": ActionKind(request=pb.ExtendOrdersRequest, takes_days=True),
    "cancel": ActionKind(request=pb.CancelOrdersRequest, destructive=True),
    "delete": ActionKind(request=pb.DeleteOrdersRequest, destructive=True, keeps_order=False),
}


@dataclass(kw_only=True)
class Acted:
    """What an action did."""

    changed: int = 0
    skipped: list[operator_pb2.SkippedOrder] = field(default_factory=list)
    left: bool = True
    """Whether orders are left for another click."""


@dataclass(frozen=True, kw_only=True)
class ChosenAction:
    """An action, and the orders that it is for."""

    operator: SignedInOperator
    name: str
    selection: operator_pb2.OrderSelection
    days: int

    @property
    def kind(self) -> ActionKind:
        """What is special about it."""
        return ACTIONS[self.name]

    async def count(self) -> tuple[int, int]:
        """Return how many orders it would change, and how many are selected."""
        matched = (await self._call(self.kind, validate_only=True)).matched
        # Every order can be deleted.
        return matched, (await self._call(ACTIONS["delete"], validate_only=True)).matched

    async def run(self) -> Acted:
        """Change the orders, for `MAX_SECONDS` at most."""
        until, token, acted = time.monotonic() + MAX_SECONDS, "", Acted()
        while acted.left and time.monotonic() <= until:
            outcome = await self._call(self.kind, token)
            acted.changed += outcome.changed
            acted.skipped += outcome.skipped
            token = outcome.next_page_token
            acted.left = bool(token)
        return acted

    async def _call(
        self, kind: ActionKind, token: str = "", *, validate_only: bool = False
    ) -> operator_pb2.OrderActionOutcome:
        wanted = kind.request(selection=self.selection, page_token=token, validate_only=validate_only)
        if kind.takes_days:
            wanted.extension.FromSeconds(self.days * 86_400)
        client = self.operator.client
        call: Any = getattr(client.stub, kind.request.DESCRIPTOR.name.removesuffix("Request"))
        outcome: operator_pb2.OrderActionOutcome = (await client.call(call, wanted, timeout=60)).outcome
        return outcome


class OrderActionPages:
    """The dry run of an action, and the action."""

    def __init__(self, renderer: OperatorRenderer, terms: SearchTerms) -> None:
        self._renderer = renderer
        self._terms = terms

    async def act(self, request: Request, operator: SignedInOperator) -> Response:
        """Show how many orders an action would change; with `confirmed`, change them."""
        fields = await read_fields(request)
        name = str(fields.get("action", ""))
        if name not in ACTIONS:
            raise ProblemError(NOT_FOUND)
        filters = OrderFilters.of(fields, self._terms)
        lost = bool(fields.get("q")) and not filters.address
        selection = _selection(fields, filters)
        if selection is None or (lost and selection.all):
            return RedirectResponse(list_url("/orders", filters.query | {"done": "no_orders_selected"}), 303)
        action = ChosenAction(operator=operator, name=name, selection=selection, days=_days(fields))
        if not fields.get("confirmed"):
            return await self._dry_run(request, action, filters)
        return self._answer(request, action, filters, await action.run())

    async def _dry_run(self, request: Request, action: ChosenAction, filters: OrderFilters) -> Response:
        matched, selected = await action.count()
        return self._renderer.page(
            request,
            action.operator,
            "order_action.html",
            action=action,
            matched=matched,
            selected=selected,
            filters=filters,
            back=list_url("/orders", filters.query),
        )

    def _answer(self, request: Request, action: ChosenAction, filters: OrderFilters, acted: Acted) -> Response:
        ids = action.selection.order_ids
        one = ids[0] if len(ids) == 1 else ""
        if one and not acted.changed:
            message = acted.skipped[0].message if acted.skipped else ""
            return self._renderer.page(
                request, action.operator, "refused.html", status=409, refused=409, message=message
            )
        done = {"done": f"orders_{action.name}" + ("_some" if acted.left else ""), "n": str(acted.changed)}
        if one and action.kind.keeps_order:
            return RedirectResponse(list_url(f"/orders/{one}", done), 303)
        return RedirectResponse(list_url("/orders", filters.query | done), 303)


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
