"""Progress bars for a terminal; imported on demand, because rich takes longer to load than most commands to run."""

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
    # By default rich would redirect stdout, which results are printed to, to stderr.
    return Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )


@contextmanager
def upload_bar() -> Iterator[Callable[[int, int], None]]:
    """Show the bytes sent of the total."""
    with _bars("Sending", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bars:
        task = bars.add_task("", total=None)
        yield lambda sent, total: bars.update(task, completed=sent, total=total)


@contextmanager
def order_bar() -> Iterator[Callable[[Order], None]]:
    """Show the images that have ended of the total, failed ones in red."""
    texts = (TextColumn("[green]{task.fields[succeeded]} blurred"), TextColumn("[red]{task.fields[failed]}"))
    with _bars("Blurring", BarColumn(), MofNCompleteColumn(), *texts, TimeRemainingColumn()) as bars:
        task = bars.add_task("", total=None, succeeded=0, failed="")

        def show(order: Order) -> None:
            of = order.counts
            failed = f"{of.failed} failed" if of.failed else ""
            done = of.succeeded + of.failed + of.cancelled
            bars.update(task, completed=done, total=of.total, succeeded=of.succeeded, failed=failed)

        yield show


@contextmanager
def download_bar() -> Iterator[Callable[[int], None]]:
    """Show the bytes received; the total is unknown."""
    received = 0
    with _bars(SpinnerColumn(), TextColumn("Downloading {task.fields[received]}"), TransferSpeedColumn()) as bars:
        task = bars.add_task("", total=None, received="")

        def show(octets: int) -> None:
            nonlocal received
            received += octets
            bars.update(task, advance=octets, received=size(received))

        yield show
