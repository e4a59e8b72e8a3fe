"""Shows progress on stderr: bars on a terminal, a few lines elsewhere, nothing if quiet."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from imageblur.v1.order_pb2 import Order

from imageblur_client.cli.render import counts


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def upload_progress(*, quiet: bool) -> AbstractContextManager[Callable[[int, int], None]]:
    """Return a context manager of a function to call with the bytes sent and the total."""
    if quiet or not _on_terminal():
        return nullcontext(lambda _sent, _total: None)
    from imageblur_client.cli.bars import upload_bar  # noqa: PLC0415 - rich is slow to load

    return upload_bar()


def order_progress(*, quiet: bool) -> AbstractContextManager[Callable[[Order], None]]:
    """Return a context manager of a function to call with the order after each change."""
    if quiet:
        return nullcontext(lambda _order: None)
    if not _on_terminal():
        return nullcontext(_tenths())
    from imageblur_client.cli.bars import order_bar  # noqa: PLC0415 - rich is slow to load

    return order_bar()


def download_progress(*, quiet: bool) -> AbstractContextManager[Callable[[int], None]]:
    """Return a context manager of a function to call with the number of bytes received."""
    if quiet or not _on_terminal():
        return nullcontext(lambda _octets: None)
    from imageblur_client.cli.bars import download_bar  # noqa: PLC0415 - rich is slow to load

    return download_bar()


def _tenths() -> Callable[[Order], None]:
    """Return a function that prints the progress at every tenth, for logs."""
    last = -1

    def show(order: Order) -> None:
        nonlocal last
        of = order.counts
        tenth = 10 * (of.succeeded + of.failed + of.cancelled) // max(of.total, 1)
        if tenth > last:
            last = tenth
            print(f"images {counts(of)}", file=sys.stderr, flush=True)

    return show
