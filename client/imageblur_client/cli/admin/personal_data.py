"""`imageblur admin export`, `erase`, `lift-suppression`: the personal data of an address."""

from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb

from imageblur_client.cli.admin.output import Yes, confirm, operator_api
from imageblur_client.cli.text import count

Address = Annotated[str, typer.Argument(metavar="E", help="E-mail address.", show_default=False)]


def export(ctx: typer.Context, address: Address) -> None:
    """Print everything stored about an address as JSON, one object a line."""
    with operator_api(ctx) as operator:
        request = pb.ExportPersonalDataRequest(email=address)
        for record in operator.stream(operator.stub.ExportPersonalData, request):
            typer.echo(record.json)


def erase(ctx: typer.Context, address: Address, yes: Yes = False) -> None:
    """Delete the subscription and the orders of an address."""
    confirm("Delete everything stored about this address?", yes=yes)
    with operator_api(ctx) as operator:
        request = pb.ErasePersonalDataRequest(email=address)
        orders = operator.call(operator.stub.ErasePersonalData, request).orders
    typer.echo(f"Erased; {count(orders, 'order')} deleted.")


def lift_suppression(
    ctx: typer.Context,
    address: Address,
    restore: Annotated[
        bool, typer.Option("--restore", help="Restore the subscription as it was; not after a complaint.")
    ] = False,
) -> None:
    """Allow an address that e-mails bounced from to subscribe again."""
    with operator_api(ctx) as operator:
        request = pb.LiftSuppressionRequest(email=address, restore=restore)
        lifted = operator.call(operator.stub.LiftSuppression, request).lifted
    done = "The subscription is as before." if restore else "The address can subscribe again."
    typer.echo(done if lifted else "The address was not suppressed.")
