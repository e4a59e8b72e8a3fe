"""What the gateway counts."""

from prometheus_client import Counter, Gauge, Histogram

from services.common.infra.metrics import SECONDS

_RPCS = Counter("imageblur_rpcs", "Calls that have ended.", ["method", "code"])
_RPC_SECONDS = Histogram("imageblur_rpc_seconds", "How long calls took.", ["method"], buckets=SECONDS)
_ORDERS = Counter("imageblur_orders_accepted", "Orders accepted, repeats not counted.")
_IMAGES = Counter("imageblur_images_accepted", "Images in them.")
_BYTES = Counter("imageblur_bytes_accepted", "Bytes of these images.")
_NEEDS = Gauge("imageblur_need_up", "1 while what the gateway needs can be reached, else 0.", ["what"])


def rpc_ended(method: str, code: str, seconds: float) -> None:
    """A call has ended; `code` by its gRPC name."""
    _RPCS.labels(method, code).inc()
    _RPC_SECONDS.labels(method).observe(seconds)


def order_accepted(images: int, size: int) -> None:
    """An order was accepted; `size` in bytes."""
    _ORDERS.inc()
    _IMAGES.inc(images)
    _BYTES.inc(size)


def need_seen(what: str, *, up: bool) -> None:
    """Something that the gateway needs was looked at."""
    _NEEDS.labels(what).set(up)
