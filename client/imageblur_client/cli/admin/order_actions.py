"""`imageblur admin cancel-orders`, `delete-orders`, `send-orders`, `revise-orders`, `extend-orders`."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import OrderActionOutcome, OrderSelection

from imageblur_client.cli.admin.order_options import (
    Address,
    AddressPart,
    IdPrefix,
    PlacedBy,
    State,
    order_filter,
    resolve,
)
from imageblur_client.cli.admin.output import DryRun, Yes, confirm, operator_api
from imageblur_client.cli.admin.times import Since, Until
from imageblur_client.cli.errors import ExitCode, print_error
from imageblur_client.cli.text import count

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Order IDs or their beginnings.", show_default=False)
]
Every = Annotated[bool, typer.Option("--all", help="All orders that match the other options.")]
Days = Annotated[int, typer.Option(min=1, max=365, metavar="N", help="By how many days.")]
_DAY = 86_400

Request = Callable[[OrderSelection, bool, str], Any]


def cancel_orders(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    every: Every = False,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Cancel orders that have unfinished images; results are kept."""
    _act(ctx, "CancelOrders", "cancel", ids, every=every, options=_filter_options(locals()), dry_run=dry_run, yes=yes)


def delete_orders(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    every: Every = False,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete orders with their images and results."""
    _act(ctx, "DeleteOrders", "delete", ids, every=every, options=_filter_options(locals()), dry_run=dry_run, yes=yes)


def send_orders(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    every: Every = False,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """E-mail the results of finished orders again."""
    _act(ctx, "SendOrders", "e-mail", ids, every=every, options=_filter_options(locals()), dry_run=dry_run, yes=yes)


def revise_orders(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    every: Every = False,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Blur the images of orders again as before, from the originals that they keep."""
    _act(ctx, "ReviseOrders", "revise", ids, every=every, options=_filter_options(locals()), dry_run=dry_run, yes=yes)


def extend_orders(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    days: Days,
    every: Every = False,
    state: State = None,
    email: Address = "",
    email_part: AddressPart = "",
    id_prefix: IdPrefix = "",
    principal: PlacedBy = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let orders expire later."""
    options = _filter_options(locals())
    extension = Duration(seconds=days * _DAY)
    _act(
        ctx,
        "ExtendOrders",
        "extend",
        ids,
        every=every,
        options=options,
        dry_run=dry_run,
        yes=yes,
        extension=extension,
    )


def _filter_options(values: dict[str, Any]) -> dict[str, Any]:
    names = ("email", "email_part", "id_prefix", "principal", "since", "until")
    return {"states": values["state"], **{name: values[name] for name in names}}


def _act(
    ctx: typer.Context,
    method: str,
    verb: str,
    ids: list[str] | None,
    *,
    every: bool,
    options: dict[str, Any],
    dry_run: bool,
    yes: bool,
    **fields: object,
) -> None:
    with operator_api(ctx) as operator:
        selection = OrderSelection(
            order_ids=[resolve(operator, text) for text in ids or ()], all=every, filter=order_filter(**options)
        )
        request_type, call = getattr(pb, f"{method}Request"), getattr(operator.stub, method)

        def run(token: str = "", *, validate_only: bool = False) -> OrderActionOutcome:
            request = request_type(selection=selection, page_token=token, validate_only=validate_only, **fields)
            outcome: OrderActionOutcome = operator.call(call, request).outcome
            return outcome

        counted = run(validate_only=True)
        if dry_run:
            typer.echo(f"Would {verb} {count(counted.matched, 'order')}.")
            return
        confirm(f"{verb.capitalize()} {count(counted.matched, 'order')}?", yes=yes)
        changed, token, skipped = 0, "", False
        while True:
            outcome = run(token)
            changed += outcome.changed
            for one in outcome.skipped:
                skipped = True
                print_error(f"{one.order_id}: {one.message}")
            if not (token := outcome.next_page_token):
                break
    typer.echo(f"{count(changed, 'order')} changed.")
    if skipped:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)
