"""What the options before the command's name say, and the client they lead to."""

from dataclasses import dataclass
from typing import Annotated

import typer

from imageblur_client.channel import Security
from imageblur_client.client import Client


@dataclass(frozen=True)
class Session:
    """One run of the command line."""

    server: str
    timeout: float | None
    security: Security

    def client(self) -> Client:
        """To be used with `with`."""
        return Client(self.server, timeout=self.timeout, security=self.security)


def client_of(ctx: typer.Context) -> Client:
    """The client for a command."""
    session = ctx.find_object(Session)
    assert session is not None
    return session.client()


OrderId = Annotated[str, typer.Argument(metavar="ID", help="The order's id.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object a line, fields as in the protos.")]
