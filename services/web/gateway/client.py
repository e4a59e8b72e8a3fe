"""The RPCs of orders and subscriptions that the pages use."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscriptions
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import Delivery, Image, Order
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from services.common.infra.signing.visitors import VisitorProof
from services.web.gateway.rpc import Channels, RpcCaller, client_errors
from services.web.gateway.upload import GatewayAppend, GatewayUpload

PAGE_SIZE = 200
"""Images on one page of an order."""
INSTANT_SECONDS = 120.0
"""The gateway answers sooner, with an error if need be."""
DownloadStream = AsyncIterator[pb.DownloadImagesResponse]
_Message = TypeVar("_Message")


class GatewayClient(RpcCaller):
    """Calls the gateway with the key of the pages. Every method raises ImageBlurClientError."""

    def __init__(self, channels: Channels, key: str | None = None, visitors: VisitorProof | None = None) -> None:
        super().__init__(key, visitors)
        self._uploads = BlurServiceStub(channels.uploads)
        self._orders = BlurServiceStub(channels.others)
        self._subscriptions = SubscriptionServiceStub(channels.others)

    async def limits(self) -> pb.GetLimitsResponse:
        """Return the limits that the gateway enforces."""
        return await self.call(self._orders.GetLimits, pb.GetLimitsRequest())

    async def check(self, request: pb.BlurOrderRequest) -> None:
        """Validate an order without storing it."""
        request.order.validate_only = True
        await self.call(self._orders.BlurOrder, request)

    async def blur_image(self, request: pb.BlurImageRequest) -> pb.BlurImageResponse:
        """Blur one image at once."""
        return await self.call(self._orders.BlurImage, request, timeout=INSTANT_SECONDS)

    async def find_regions(self, request: pb.FindRegionsRequest) -> pb.FindRegionsResponse:
        """Find what could be hidden in one image."""
        return await self.call(self._orders.FindRegions, request, timeout=INSTANT_SECONDS)

    async def preview(self, request: pb.PreviewImageRequest) -> pb.PreviewImageResponse:
        """Draw an original or a result."""
        return await self.call(self._orders.PreviewImage, request, timeout=INSTANT_SECONDS)

    async def place(self, request: pb.BlurOrderRequest) -> pb.BlurOrderResponse:
        """Place an order of one message."""
        return await self.call(self._orders.BlurOrder, request)

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[GatewayUpload]:
        """Open an upload. It is cancelled if the block ends before it is complete."""
        upload = GatewayUpload(self._uploads, self.metadata)
        try:
            yield upload
        finally:
            upload.cancel()

    async def create_upload(self, request: pb.CreateUploadRequest) -> pb.Upload:
        """Create an upload that can be resumed."""
        return (await self.call(self._orders.CreateUpload, request)).upload

    async def get_upload(self, upload_id: str) -> pb.Upload:
        """Return an upload."""
        return (await self.call(self._orders.GetUpload, pb.GetUploadRequest(upload_id=upload_id))).upload

    @asynccontextmanager
    async def append(self, upload_id: str, offset: int) -> AsyncIterator[GatewayAppend]:
        """Append to an upload. The call is cancelled if the block ends before it is finished."""
        append = GatewayAppend(self._uploads, self.metadata)
        try:
            await append.start(upload_id, offset)
            yield append
        finally:
            append.cancel()

    async def complete_upload(self, upload_id: str) -> Order:
        """Place the order of an upload."""
        request = pb.CompleteUploadRequest(upload_id=upload_id)
        return (await self.call(self._orders.CompleteUpload, request)).order

    async def delete_upload(self, upload_id: str) -> None:
        """Delete an upload."""
        await self.call(self._orders.DeleteUpload, pb.DeleteUploadRequest(upload_id=upload_id))

    async def status(self, order_id: str) -> Order:
        """Return an order."""
        return (await self.call(self._orders.Status, pb.StatusRequest(order_id=order_id))).order

    async def images(self, order_id: str, page_token: str) -> pb.ListImagesResponse:
        """Return a page of an order's images."""
        request = pb.ListImagesRequest(order_id=order_id, page_size=PAGE_SIZE, page_token=page_token)
        return await self.call(self._orders.ListImages, request)

    async def all_images(self, order_id: str) -> AsyncIterator[Image]:
        """Yield all images of an order by position."""
        async for image in self.rows(self._orders.ListImages, pb.ListImagesRequest(order_id=order_id), "images"):
            yield image

    def watch(
        self, order_id: str, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[pb.WatchStatusResponse]]:
        """Open a stream of an order's changes."""
        request = pb.WatchStatusRequest(order_id=order_id, after_revision=after_revision)
        return self._stream(self._orders.WatchStatus, request)

    def download(self, request: pb.DownloadImagesRequest) -> AbstractAsyncContextManager[DownloadStream]:
        """Open a download."""
        return self._stream(self._orders.DownloadImages, request)

    async def send(self, order_id: str, address: str = "") -> Delivery:
        """Request the results by e-mail: now, or as soon as the order has finished.

        Args:
            order_id: The order.
            address: Of an order that has none.
        """
        request = pb.SendImagesRequest(order_id=order_id, when_ready=True, email=address)
        return (await self.call(self._orders.SendImages, request)).delivery

    async def revise(self, request: pb.ReviseImagesRequest) -> Order:
        """Blur images of a finished order again."""
        return (await self.call(self._orders.ReviseImages, request)).order

    async def delete_originals(self, order_id: str) -> None:
        """Delete the originals that an order keeps."""
        await self.call(self._orders.DeleteOriginals, pb.DeleteOriginalsRequest(order_id=order_id))

    async def cancel(self, order_id: str) -> None:
        """Cancel the unfinished images of an order."""
        await self.call(self._orders.CancelOrder, pb.CancelOrderRequest(order_id=order_id))

    async def delete(self, order_id: str) -> None:
        """Delete an order."""
        await self.call(self._orders.DeleteOrder, pb.DeleteOrderRequest(order_id=order_id))

    async def subscribe(self, address: str, locale: str, time_zone: str = "") -> bool:
        """Subscribe an address. Return whether a confirmation is required."""
        request = subscriptions.SubscribeRequest(email=address, locale=locale, time_zone=time_zone)
        return (await self.call(self._subscriptions.Subscribe, request)).confirmation_required

    async def confirm(self, token: str) -> None:
        """Confirm a subscription."""
        request = subscriptions.ConfirmSubscriptionRequest(token=token)
        await self.call(self._subscriptions.ConfirmSubscription, request)

    async def unsubscribe(self, *, address: str | None = None, token: str | None = None) -> None:
        """End the subscription of an address, or the one that a token belongs to."""
        request = subscriptions.UnsubscribeRequest()
        if address is not None:
            request.email = address
        else:
            request.token = token or ""
        await self.call(self._subscriptions.Unsubscribe, request)

    @asynccontextmanager
    async def _stream(
        self, rpc: Callable[..., aio.UnaryStreamCall[Any, _Message]], request: object
    ) -> AsyncIterator[AsyncIterator[_Message]]:
        with client_errors():
            call = rpc(request, metadata=self.metadata)
            try:
                yield aiter(call)
            finally:
                call.cancel()
