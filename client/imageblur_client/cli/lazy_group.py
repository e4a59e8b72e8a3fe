"""The commands of `imageblur`, each loaded when it is used: `--help` needs none of them, and so no gRPC."""

import importlib
from typing import Any, NamedTuple

import typer
import typer.core

from imageblur_client.cli.errors import CommandGroup


class LazyCommand(NamedTuple):
    """Where a command is."""

    module: str
    """Module below imageblur_client.cli."""
    attribute: str
    """A function, or a Typer application."""
    help: str
    """The first sentence of its help."""


COMMANDS = {
    "order": LazyCommand(
        "order",
        "order",
        "Place an order: send images to blur, and print the Order ID. With --output, download the results too.",
    ),
    "status": LazyCommand("status", "status", "Show an order."),
    "watch": LazyCommand("status", "watch", "Follow an order until it has finished."),
    "send": LazyCommand("results", "send", "E-mail the results as an archive to the order's address."),
    "download": LazyCommand("results", "download", "Download the available results; print the path of each file."),
    "revise": LazyCommand(
        "revise", "revise", "Blur images of a finished order again, from their originals, with another spec."
    ),
    "done": LazyCommand(
        "revise", "done", "Delete the originals that an order keeps for `revise`; its results are kept."
    ),
    "cancel": LazyCommand("lifecycle", "cancel", "Cancel an order; existing results are kept."),
    "delete": LazyCommand("lifecycle", "delete", "Delete an order with its images, results and address."),
    "blur": LazyCommand("instant", "blur", "Blur one image at once; nothing of it is kept on the server."),
    "find": LazyCommand(
        "instant", "find", "Find what could be hidden in one image; nothing of it is kept on the server."
    ),
    "limits": LazyCommand("lifecycle", "limits", "Show the limits of the server."),
    "webhook-secret": LazyCommand(
        "webhooks", "webhook_secret", "Print the secret that signs the webhooks of your orders."
    ),
    "subscribe": LazyCommand("subscription", "subscribe", "Subscribe an address to the newsletter."),
    "confirm": LazyCommand(
        "subscription", "confirm", "Confirm a subscription, or that an address wants results by e-mail."
    ),
    "unsubscribe": LazyCommand("subscription", "unsubscribe", "End a subscription."),
    "serve": LazyCommand(
        "serve", "serve", "Serve everything on this machine until Ctrl-C: gateway, workers, web pages."
    ),
    "demo": LazyCommand("serve", "demo", "Blur real photographs with the whole service, show the e-mail, stop."),
    "admin": LazyCommand(
        "admin",
        "app",
        "For operators: queues, orders, failures, webhooks, mailings, personal data, API keys, audit log.",
    ),
}


class LazyCommands(dict[str, Any]):
    """Commands by their names, loaded when they are read."""

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _load(name, COMMANDS[name])
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a command."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def values(self) -> Any:
        """Load all of them."""
        return [self[name] for name in self]

    def items(self) -> Any:
        """Load all of them."""
        return [(name, self[name]) for name in self]


class LazyGroup(CommandGroup):
    """A group whose help loads no command."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = LazyCommands.fromkeys(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with the first sentences of their help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


def _load(name: str, command: LazyCommand) -> Any:
    found = getattr(importlib.import_module(f"imageblur_client.cli.{command.module}"), command.attribute)
    if not isinstance(found, typer.Typer):
        one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        one.command(name)(found)
        found = one
    loaded = typer.main.get_command(found)
    loaded.name = name
    return loaded
