"""Options that select orders, and short IDs of orders."""

from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import OrderFilter
from imageblur.v1.order_pb2 import OrderState

from imageblur_client.cli.admin.times import Since, Until, span
from imageblur_client.cli.shared_options import takes
from imageblur_client.operator import OperatorApi

State = Annotated[
    list[str] | None, typer.Option(metavar="STATE", help="Only orders in this state, such as failed. Can be repeated.")
]
Address = Annotated[str, typer.Option(metavar="E", help="Only orders for this address.")]
AddressPart = Annotated[
    str, typer.Option(metavar="TEXT", help="Only orders for addresses that contain this; at least 3 characters.")
]
IdPrefix = Annotated[
    str, typer.Option("--id", metavar="DIGITS", help="Only orders whose ID begins with this; at least 4 digits.")
]
PlacedBy = Annotated[str, typer.Option(metavar="P", help="Only orders placed by this principal, such as key:ID.")]

_FULL_ID = 32


def order_filter(
    *,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
) -> OrderFilter:
    """Return the filter of these options.

    Raises:
        typer.BadParameter: A state or a time is unknown.
    """
    begin, end = span(since, until)
    return OrderFilter(
        states=map(_state, state or ()),
        email=email,
        email_part=email_part,
        order_id_prefix=id_prefix,
        principal=principal,
        from_time=begin,
        to_time=end,
    )


takes_order_filter = takes("which", order_filter)
"""Decorates a command: it takes the options of `order_filter` in place of its parameter `which`, an OrderFilter."""


def resolve(operator: OperatorApi, text: str) -> str:
    """Return the ID of the order that a short ID means; a full ID as it is.

    Raises:
        typer.BadParameter: No order or several orders begin with it.
        ImageBlurClientError: The call failed.
    """
    digits = text.strip().rstrip("…").replace("-", "")
    if len(digits) >= _FULL_ID:
        return text
    request = pb.ListOrdersRequest(page_size=2, filter=OrderFilter(order_id_prefix=digits))
    found = operator.call(operator.stub.ListOrders, request).orders
    if len(found) != 1:
        problem = "several orders begin" if found else "no order begins"
        raise typer.BadParameter(f"{problem} with {text!r}", param_hint="ID")
    return found[0].order.order_id


def _state(text: str) -> OrderState.ValueType:
    try:
        return OrderState.Value("ORDER_STATE_" + text.upper().replace("-", "_").replace(" ", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an order state", param_hint="--state") from None
