"""The metrics of the gateway."""

from contextlib import AbstractContextManager

from prometheus_client import Counter, Gauge, Histogram

from services.common.infra.metrics import SECONDS

_RPCS = Counter("imageblur_rpcs_total", "Finished calls.", ["method", "code"])
_RPC_SECONDS = Histogram("imageblur_rpc_seconds", "Duration of calls.", ["method"], buckets=SECONDS)
_ORDERS = Counter("imageblur_orders_accepted_total", "Accepted orders, without repeated requests.")
_IMAGES = Counter("imageblur_images_accepted_total", "Images of accepted orders.")
_BYTES = Counter("imageblur_bytes_accepted_total", "Bytes of images of accepted orders.")
_DEPENDENCIES = Gauge("imageblur_dependency_up", "1 while a dependency is available, else 0.", ["dependency"])

_WAITING = Gauge("imageblur_calls_waiting", "Calls that wait for their turn.")
_REFUSED = Counter("imageblur_calls_refused_total", "Calls whose turn did not come in time, or that were too many.")
_INSTANT_CALLS = Gauge("imageblur_instant_in_flight", "Instant calls that wait for their answers.", ["method"])


def rpc_finished(method: str, code: str, seconds: float) -> None:
    """Count a finished call; `code` is the name of its gRPC status code."""
    _RPCS.labels(method, code).inc()
    _RPC_SECONDS.labels(method).observe(seconds)


def calls_waiting(number: int) -> None:
    """Publish how many calls wait for their turn."""
    _WAITING.set(number)


def call_refused() -> None:
    """Count a call that was refused because it waited too long, or because too many waited."""
    _REFUSED.inc()


def order_accepted(images: int, size: int) -> None:
    """Count an accepted order; `size` in bytes."""
    _ORDERS.inc()
    _IMAGES.inc(images)
    _BYTES.inc(size)


def dependency_checked(name: str, *, up: bool) -> None:
    """Publish whether a dependency is available."""
    _DEPENDENCIES.labels(name).set(up)


def instant_in_flight(method: str) -> AbstractContextManager[None]:
    """Count the block as an instant call that waits for its answer."""
    return _INSTANT_CALLS.labels(method).track_inprogress()
