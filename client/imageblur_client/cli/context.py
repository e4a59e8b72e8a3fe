"""The common options of a command, and the client made from them."""

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from imageblur_client.security import Security

if TYPE_CHECKING:
    from imageblur_client.client import Client


@dataclass(frozen=True)
class CliContext:
    """The common options."""

    server: str
    timeout: float | None
    security: Security

    def client(self) -> "Client":
        """Return a client, to be used in a `with` statement."""
        from imageblur_client.client import Client  # noqa: PLC0415 - gRPC, which --help does not need

        gc.enable()
        return Client(self.server, timeout=self.timeout, security=self.security)


def client_of(ctx: typer.Context) -> "Client":
    """Return the client for a command."""
    context = ctx.find_object(CliContext)
    assert context is not None
    return context.client()


OrderId = Annotated[str, typer.Argument(metavar="ID", help="Order ID.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line, with the fields of the protos.")]
