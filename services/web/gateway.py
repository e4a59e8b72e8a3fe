"""The gateway as the pages see it: one method for each thing they ask, and errors that can be shown."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import Delivery, Order
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from imageblur_client.rpc_errors import from_rpc

from services.common.domain.errors import ConfigurationError
from services.common.infra.settings import is_loopback
from services.web.orders.gateway_upload import Sending
from services.web.settings import WebSettings

PAGE = 200
"""Images on one page."""
ANSWER_SECONDS = 15.0
_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", 16 << 20),
    # A gateway that was restarted is found within a moment.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # One that has vanished without a word, too: a watch may be silent for long.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]

Downloading = AsyncIterator[pb.DownloadImagesResponse]


@dataclass(frozen=True)
class Channels:
    """The ways to the gateway: one for uploads (see `sending`), one for everything else."""

    uploads: grpc.Channel
    others: aio.Channel


@asynccontextmanager
async def open_channels(settings: WebSettings) -> AsyncIterator[Channels]:
    """Both, which connect with their first calls, until the block ends.

    Raises:
        ConfigurationError: The file of certificates cannot be read.
    """
    url = settings.gateway_url
    options = list(_OPTIONS)
    credentials = None
    target = url
    if not url.startswith("unix:"):
        parts = urlsplit(url)
        target = parts.netloc
        if is_loopback(parts.hostname or ""):
            options.append(("grpc.enable_http_proxy", 0))  # gRPC honours http_proxy even for this very machine
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials(_roots(settings))
    if credentials:
        uploads = grpc.secure_channel(target, credentials, options=options)
        others = aio.secure_channel(target, credentials, options=options)
    else:
        uploads = grpc.insecure_channel(target, options=options)
        others = aio.insecure_channel(target, options=options)
    with uploads:
        async with others:
            yield Channels(uploads, others)


def _roots(settings: WebSettings) -> bytes | None:
    try:
        return settings.gateway_ca_file.read_bytes() if settings.gateway_ca_file else None
    except OSError as error:
        raise ConfigurationError(f"IMAGEBLUR_GATEWAY_CA_FILE: {error}") from None


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Raise what gRPC raises inside as an ImageBlurClientError."""
    try:
        yield
    except aio.AioRpcError as error:
        raise from_rpc(error, "the gateway") from error


class Gateway:
    """What can be asked. Every method raises ImageBlurClientError."""

    def __init__(self, channels: Channels, key: str | None = None) -> None:
        self._uploads = BlurServiceStub(channels.uploads)
        self._blur = BlurServiceStub(channels.others)
        self._subscription = SubscriptionServiceStub(channels.others)
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()

    async def limits(self) -> pb.GetLimitsResponse:
        """What the gateway takes."""
        with mapped_errors():
            return await self._blur.GetLimits(pb.GetLimitsRequest(), timeout=ANSWER_SECONDS, metadata=self._metadata)

    async def check(self, request: pb.BlurOrderRequest) -> None:
        """See whether an order like this would be taken; nothing of it is stored."""
        request.order.validate_only = True
        with mapped_errors():
            await self._blur.BlurOrder(request, timeout=ANSWER_SECONDS, metadata=self._metadata)

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Sending]:
        """An upload; broken off if the block ends before it."""
        sending = Sending(self._uploads, self._metadata)
        try:
            yield sending
        finally:
            sending.cancel()

    async def status(self, order_id: str) -> Order:
        """How an order stands."""
        with mapped_errors():
            answer = await self._blur.Status(
                pb.StatusRequest(order_id=order_id), timeout=ANSWER_SECONDS, metadata=self._metadata
            )
        return answer.order

    async def images(self, order_id: str, page_token: str) -> pb.ListImagesResponse:
        """A page of an order's images."""
        request = pb.ListImagesRequest(order_id=order_id, page_size=PAGE, page_token=page_token)
        with mapped_errors():
            return await self._blur.ListImages(request, timeout=ANSWER_SECONDS, metadata=self._metadata)

    @asynccontextmanager
    async def watch(self, order_id: str, after_revision: int) -> AsyncIterator[AsyncIterator[pb.WatchStatusResponse]]:
        """Changes of an order, until the block ends."""
        request = pb.WatchStatusRequest(order_id=order_id, after_revision=after_revision)
        with mapped_errors():
            call = self._blur.WatchStatus(request, metadata=self._metadata)
            try:
                yield aiter(call)
            finally:
                call.cancel()

    @asynccontextmanager
    async def download(self, request: pb.DownloadImagesRequest) -> AsyncIterator[Downloading]:
        """Parts of a download, until the block ends."""
        with mapped_errors():
            call = self._blur.DownloadImages(request, metadata=self._metadata)
            try:
                yield aiter(call)
            finally:
                call.cancel()

    async def send(self, order_id: str) -> Delivery:
        """Ask for the results by mail: now, or as soon as the order has finished."""
        request = pb.SendImagesRequest(order_id=order_id, when_ready=True)
        with mapped_errors():
            answer = await self._blur.SendImages(request, timeout=ANSWER_SECONDS, metadata=self._metadata)
        return answer.delivery

    async def cancel(self, order_id: str) -> None:
        """Cancel what has not ended."""
        with mapped_errors():
            await self._blur.CancelOrder(
                pb.CancelOrderRequest(order_id=order_id), timeout=ANSWER_SECONDS, metadata=self._metadata
            )

    async def delete(self, order_id: str) -> None:
        """Delete an order."""
        with mapped_errors():
            await self._blur.DeleteOrder(
                pb.DeleteOrderRequest(order_id=order_id), timeout=ANSWER_SECONDS, metadata=self._metadata
            )

    async def subscribe(self, email: str, locale: str) -> bool:
        """Subscribe an address; whether its owner is asked to confirm."""
        request = subscription.SubscribeRequest(email=email, locale=locale)
        with mapped_errors():
            answer = await self._subscription.Subscribe(request, timeout=ANSWER_SECONDS, metadata=self._metadata)
        return answer.confirmation_required

    async def confirm(self, token: str) -> None:
        """Confirm a subscription."""
        request = subscription.ConfirmSubscriptionRequest(token=token)
        with mapped_errors():
            await self._subscription.ConfirmSubscription(request, timeout=ANSWER_SECONDS, metadata=self._metadata)

    async def unsubscribe(self, *, email: str | None = None, token: str | None = None) -> None:
        """End a subscription, by one of the two."""
        if email is not None:
            request = subscription.UnsubscribeRequest(email=email)
        else:
            request = subscription.UnsubscribeRequest(token=token or "")
        with mapped_errors():
            await self._subscription.Unsubscribe(request, timeout=ANSWER_SECONDS, metadata=self._metadata)
