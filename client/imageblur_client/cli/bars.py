"""Progress bars for a terminal; a module apart because rich takes longer to load than most commands to run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imageblur.v1.order_pb2 import Order
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from imageblur_client.cli.text import size


def _bars(*columns: ProgressColumn | str) -> Progress:
    # rich would lead stdout, where the results go, to stderr as well.
    return Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )


@contextmanager
def upload_bar() -> Iterator[Callable[[int, int], None]]:
    """Bytes sent of bytes in all."""
    with _bars("Sending", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bars:
        task = bars.add_task("", total=None)
        yield lambda sent, total: bars.update(task, completed=sent, total=total)


@contextmanager
def order_bar() -> Iterator[Callable[[Order], None]]:
    """Images that ended of images in all, those that failed in red."""
    told = (TextColumn("[green]{task.fields[succeeded]} blurred"), TextColumn("[red]{task.fields[failed]}"))
    with _bars("Blurring", BarColumn(), MofNCompleteColumn(), *told, TimeRemainingColumn()) as bars:
        task = bars.add_task("", total=None, succeeded=0, failed="")

        def show(order: Order) -> None:
            of = order.counts
            failed = f"{of.failed} failed" if of.failed else ""
            done = of.succeeded + of.failed + of.cancelled
            bars.update(task, completed=done, total=of.total, succeeded=of.succeeded, failed=failed)

        yield show


@contextmanager
def download_bar() -> Iterator[Callable[[int], None]]:
    """Bytes that came; the server does not say how many there will be."""
    received = 0
    with _bars(SpinnerColumn(), TextColumn("Fetching {task.fields[received]}"), TransferSpeedColumn()) as bars:
        task = bars.add_task("", total=None, received="")

        def show(octets: int) -> None:
            nonlocal received
            received += octets
            bars.update(task, advance=octets, received=size(received))

        yield show
