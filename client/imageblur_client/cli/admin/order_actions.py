"""`imageblur admin cancel-orders`, `delete-orders`, `send-orders`, `revise-orders`, `extend-orders`."""

from dataclasses import dataclass
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import OrderActionOutcome, OrderFilter, OrderSelection

from imageblur_client.cli.admin.order_options import resolve, takes_order_filter
from imageblur_client.cli.admin.output import DryRun, Yes, confirm, operator_api
from imageblur_client.cli.errors import ExitCode, print_error
from imageblur_client.cli.shared_options import takes
from imageblur_client.cli.text import count

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Order IDs or their beginnings.", show_default=False)
]
Every = Annotated[bool, typer.Option("--all", help="All orders that match the other options.")]
Days = Annotated[int, typer.Option(min=1, max=365, metavar="N", help="By how many days.")]
_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Action:
    """The options of these commands."""

    ids: Ids = None
    every: Every = False
    which: OrderFilter
    dry_run: DryRun = False
    yes: Yes = False


_takes_action = takes("action", takes_order_filter(Action))


@_takes_action
def cancel_orders(ctx: typer.Context, action: Action) -> None:
    """Cancel orders that have unfinished images; results are kept."""
    _act(ctx, "CancelOrders", "cancel", action)


@_takes_action
def delete_orders(ctx: typer.Context, action: Action) -> None:
    """Delete orders with their images and results."""
    _act(ctx, "DeleteOrders", "delete", action)


@_takes_action
def send_orders(ctx: typer.Context, action: Action) -> None:
    """E-mail the results of finished orders again."""
    _act(ctx, "SendOrders", "e-mail", action)


@_takes_action
def revise_orders(ctx: typer.Context, action: Action) -> None:
    """Blur the images of orders again as before, from the originals that they keep."""
    _act(ctx, "ReviseOrders", "revise", action)


@_takes_action
def extend_orders(ctx: typer.Context, action: Action, *, days: Days) -> None:
    """Let orders expire later."""
    _act(ctx, "ExtendOrders", "extend", action, extension=Duration(seconds=days * _DAY))


def _act(ctx: typer.Context, method: str, verb: str, action: Action, **fields: object) -> None:
    with operator_api(ctx) as operator:
        ids = [resolve(operator, text) for text in action.ids or ()]
        selection = OrderSelection(order_ids=ids, all=action.every, filter=action.which)
        request_type, call = getattr(pb, f"{method}Request"), getattr(operator.stub, method)

        def run(token: str = "", *, validate_only: bool = False) -> OrderActionOutcome:
            request = request_type(selection=selection, page_token=token, validate_only=validate_only, **fields)
            outcome: OrderActionOutcome = operator.call(call, request).outcome
            return outcome

        counted = run(validate_only=True)
        if action.dry_run:
            typer.echo(f"Would {verb} {count(counted.matched, 'order')}.")
            return
        confirm(f"{verb.capitalize()} {count(counted.matched, 'order')}?", yes=action.yes)
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
