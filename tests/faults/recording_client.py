"""Clients of the fleet, with their own list of what was accepted: the services' word is not relied on for that."""

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import BlurSpec, Image, Order
from imageblur.v1.subscription_service_pb2 import SubscribeRequest
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from imageblur_client.channel import NO_SECURITY, Security
from imageblur_client.key_interceptor import ApiKeyInterceptor

from tests.faults.samples import SAMPLES
from tests.support.waiting import eventually

T = TypeVar("T")

_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
ANSWER_SECONDS = 15.0
_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 5000)]
_OPTIONS += [("grpc.max_reconnect_backoff_ms", 200), ("grpc.enable_http_proxy", 0)]
_numbers = itertools.count(1)


def asks_again(error: grpc.RpcError) -> bool:
    """Whether a client asks again after this answer, with the same request id."""
    if error.code() is grpc.StatusCode.CANCELLED:  # by gRPC of a gateway that stops, of a call that it had not begun
        return error.details() == "CANCELLED"
    return error.code() in _AGAIN


@dataclass(frozen=True)
class Accepted:
    """An order that a gateway has accepted. Each has an address of its own."""

    order_id: str
    address: str
    images: tuple[str, ...]
    """Names of its files."""
    emails: int
    """Deliveries asked for."""
    at: float
    """When the answer came."""


@dataclass
class Customer:
    """Talks to two gateways, and goes to the other one when one does not answer."""

    gateways: tuple[str, str]
    accepted: list[Accepted] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Answers that told to try again."""
    loose: set[str] = field(default_factory=set)
    """Orders of which an original may be left: a worker, or the store, was killed between a commit and the removal."""
    reference: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what each file gave before any fault, by its name."""
    security: Security = NO_SECURITY
    patience: float = 90.0
    """Seconds for which a call is repeated."""

    def __post_init__(self) -> None:
        self._channels = [_channel(address, self.security) for address in self.gateways]
        self.stubs = [BlurServiceStub(channel) for channel in self._channels]
        self.subscriptions = [SubscriptionServiceStub(channel) for channel in self._channels]
        self._turns = itertools.cycle(range(len(self.gateways)))
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="customer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for channel in self._channels:
            channel.close()
        self._pool.shutdown()

    def order(
        self,
        files: Mapping[str, bytes] = SAMPLES,
        *,
        notify: bool = True,
        first: int | None = None,
        streamed: bool = True,
        address: str | None = None,
        gate: threading.Event | None = None,
        request_id: str | None = None,
        spec: BlurSpec | None = None,
        within: float = 90.0,
    ) -> Accepted:
        """Place an order, if need be again and again, until it is accepted.

        first: the gateway to begin with. gate: the half of the upload waits for it.
        """
        address = address or f"customer{next(_numbers)}@example.org"
        header = pb.OrderHeader(email=address, notify=notify, request_id=request_id or str(uuid4()), spec=spec)

        def place(stub: BlurServiceStub) -> Order:
            if streamed:
                return stub.StreamBlurOrder(_parts(header, files, gate), timeout=60 if gate else ANSWER_SECONDS).order
            images = [pb.InputImage(filename=name, data=data) for name, data in files.items()]
            return stub.BlurOrder(pb.BlurOrderRequest(order=header, images=images), timeout=ANSWER_SECONDS).order

        order = self.call(place, first=first, within=within)
        accepted = Accepted(order.order_id, address, tuple(files), int(notify), time.time())
        self.accepted.append(accepted)
        return accepted

    def order_soon(self, files: Mapping[str, bytes] = SAMPLES, **options: Any) -> "Future[Accepted]":
        """Place an order from another thread."""
        return self._pool.submit(self.order, files, **options)

    def call(self, ask: Callable[[BlurServiceStub], T], *, first: int | None = None, within: float | None = None) -> T:
        """Ask one gateway after the other until one answers for good."""
        return self._persist([functools.partial(ask, stub) for stub in self.stubs], first, within or self.patience)

    def refused(self, since: int) -> set[str]:
        """The codes of the refusals after so many of them.

        Without DEADLINE_EXCEEDED, which says no more than that this machine is busy.
        """
        return {answer.partition(":")[0] for answer in self.refusals[since:]} - {"DEADLINE_EXCEEDED"}

    def subscribe(self, address: str) -> None:
        """Subscribe to the weekly mailing."""
        request = SubscribeRequest(email=address)
        asks = [functools.partial(stub.Subscribe, request, timeout=ANSWER_SECONDS) for stub in self.subscriptions]
        self._persist(asks, None, 60.0)

    def status(self, order_id: str, *, first: int | None = None) -> tuple[Order, list[Image]]:
        """How an order and its images stand."""
        request = pb.StatusRequest(order_id=order_id, view=pb.ORDER_VIEW_FULL)
        answer = self.call(lambda stub: stub.Status(request, timeout=ANSWER_SECONDS), first=first)
        return answer.order, list(answer.images)

    def download(self, order_id: str, *, first: int | None = None) -> dict[str, bytes]:
        """The results by image id."""
        request = pb.DownloadImagesRequest(order_id=order_id)
        return self.call(lambda stub: _collect(stub.DownloadImages(request, timeout=ANSWER_SECONDS)), first=first)

    def _persist(self, asks: Sequence[Callable[[], T]], first: int | None, within: float) -> T:
        turn = next(self._turns) if first is None else first
        turns = itertools.cycle([turn, 1 - turn])
        answers: list[T] = []

        def attempt() -> bool:
            try:
                answers.append(asks[next(turns)]())
            except grpc.RpcError as error:
                if not asks_again(error):
                    raise
                self.refusals.append(f"{error.code().name}: {error.details()}")
            return bool(answers)

        eventually(attempt, within, every=0.1)
        return answers[0]


def _channel(address: str, security: Security) -> grpc.Channel:
    if not (security.ca_file and security.key):
        return grpc.insecure_channel(address, options=_OPTIONS)
    roots = grpc.ssl_channel_credentials(Path(security.ca_file).read_bytes())
    channel = grpc.secure_channel(address, roots, options=_OPTIONS)
    return grpc.intercept_channel(channel, ApiKeyInterceptor(security.key))


def _parts(
    header: pb.OrderHeader, files: Mapping[str, bytes], gate: threading.Event | None
) -> Iterator[pb.StreamBlurOrderRequest]:
    yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=header, image_count=len(files)))
    for index, (name, data) in enumerate(files.items()):
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename=name, size_bytes=len(data)))
        half = len(data) // 2
        yield pb.StreamBlurOrderRequest(chunk=data[:half])
        if gate and index == 1:
            gate.wait(60)
        yield pb.StreamBlurOrderRequest(chunk=data[half:])


def _collect(parts: Iterator[pb.DownloadImagesResponse]) -> dict[str, bytes]:
    files: dict[str, bytearray] = {}
    current = bytearray()
    for part in parts:
        if part.WhichOneof("part") == "file":
            current = files[part.file.image_id] = bytearray()
        else:
            current += part.chunk
    return {image_id: bytes(data) for image_id, data in files.items()}
