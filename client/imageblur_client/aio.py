"""An asynchronous client, with the methods of `Client`.

    async with AsyncClient("localhost:50051") as client:
        order = await client.order("cat.jpg", spec=BlurSpec(redact=Redact()))
        async for change in client.watch(order.order_id):
            print(change.order.counts.succeeded)
        await client.download(order.order_id, "blurred")

Files are read and written in threads.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import grpc
from grpc import aio
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import BlurSpec, Delivery, Effort, Find, Image, ImageFormat, ImageState, Order
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from imageblur_client import requests
from imageblur_client.channel import (
    DEFAULT_SERVER,
    NO_SECURITY,
    Security,
    address,
    authorization,
    open_async_channel,
    open_channel,
)
from imageblur_client.client import INSTANT_SECONDS, TIMEOUT_SECONDS
from imageblur_client.download import FileSaver
from imageblur_client.errors import RetryableError, ServerUnavailableError
from imageblur_client.requests import OrderFields
from imageblur_client.resumable import PATIENCE_SECONDS, InterruptionCallback, ResumableOrder
from imageblur_client.resume import ArchiveProgress
from imageblur_client.rpc_errors import mapped_errors
from imageblur_client.sources import AnyListing, AnySource
from imageblur_client.upload import AnyFile, ProgressCallback, UploadFile, UploadStream, listed
from imageblur_client.watch import RETRIES, WatchProgress

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AsyncClient:
    """A client of one server; connects with the first call. For one event loop.

    Args:
        server: Address of the server.
        timeout: Timeout of a call in seconds; None: 30, and none for uploads, downloads and watches.
        security: API key and TLS.

    Every method raises ImageBlurClientError if its call fails, and otherwise does as that of `Client`.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, timeout: float | None = None, security: Security = NO_SECURITY
    ) -> None:
        self.server = address(server)
        self._stream_timeout = timeout
        self._timeout = TIMEOUT_SECONDS if timeout is None else timeout
        self._instant_timeout = INSTANT_SECONDS if timeout is None else timeout
        self._security = security
        self._metadata = authorization(security)
        self._channel = open_async_channel(self.server, security)
        self._blur = BlurServiceStub(self._channel)
        self._subscription = SubscriptionServiceStub(self._channel)
        self._uploads: grpc.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; active calls are cancelled."""
        if self._uploads is not None:
            self._uploads.close()
        await self._channel.close()

    async def _call(
        self,
        rpc: "aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline of gRPC, which the server sees too
    ) -> _Response:
        with mapped_errors(self.server):
            deadline = self._timeout if timeout is None else timeout
            return await rpc(request, timeout=deadline, metadata=self._metadata)

    async def limits(self) -> blur.GetLimitsResponse:
        """Return the limits of the server."""
        return await self._call(self._blur.GetLimits, blur.GetLimitsRequest())

    async def order(
        self,
        files: AnyFile | Iterable[AnyFile] = (),
        files_after_email: Iterable[AnyFile] | None = None,
        /,
        *,
        sources: Iterable[AnySource] = (),
        listings: Iterable[AnyListing] = (),
        on_progress: ProgressCallback | None = None,
        **options: Unpack[OrderFields],
    ) -> Order:
        """Place an order, in constant memory. `on_progress` is called from another thread."""
        if files_after_email is not None:
            options["email"], files = str(files), files_after_email
        header = requests.order_header(options)
        uploads = await asyncio.to_thread(lambda: [UploadFile.of(file) for file in listed(files)])
        upload = UploadStream(header, uploads, on_progress, sources=sources, listings=listings)
        stub = self._upload_stub()
        with mapped_errors(self.server):
            return (await _in_thread(lambda: upload.send(stub, self._stream_timeout), upload.cancel)).order

    async def resumable_order(
        self,
        files: AnyFile | Iterable[AnyFile],
        /,
        *,
        patience: float = PATIENCE_SECONDS,
        on_progress: ProgressCallback | None = None,
        on_interruption: InterruptionCallback | None = None,
        **options: Unpack[OrderFields],
    ) -> Order:
        """Place an order as `order` does, going on after lost connections; see `Client.resumable_order`.

        What was sent before a cancellation is kept for a day. The callbacks are called from another thread.
        """
        header = requests.order_header(options)
        order = ResumableOrder(
            stub=self._upload_stub(),
            server=self.server,
            header=header,
            files=await asyncio.to_thread(lambda: [UploadFile.of(file) for file in listed(files)]),
            timeout=self._timeout,
            patience=patience,
            on_progress=on_progress,
            on_interruption=on_interruption,
        )
        return await _in_thread(order.send, order.cancel)

    def _upload_stub(self) -> BlurServiceStub:
        # gRPC's asynchronous interface loses an error that arrives during a write (grpc/grpc#36066).
        if self._uploads is None:
            self._uploads = open_channel(self.server, self._security)
        return BlurServiceStub(self._uploads)

    async def blur_image(self, file: AnyFile, *, spec: BlurSpec | None = None) -> blur.BlurImageResponse:
        """Blur one image and return it; the server keeps nothing of it."""
        request = await asyncio.to_thread(requests.blur_image_request, file, spec)
        return await self._call(self._blur.BlurImage, request, self._instant_timeout)

    async def find_regions(
        self,
        file: AnyFile,
        find: Iterable[Find] = (),
        *,
        effort: Effort.ValueType = Effort.EFFORT_UNSPECIFIED,
        output_format: ImageFormat.ValueType = ImageFormat.IMAGE_FORMAT_UNSPECIFIED,
        preview_side: int = 0,
    ) -> blur.FindRegionsResponse:
        """Find what could be hidden in one image, or draw a preview of it; the server keeps nothing of it."""
        request = await asyncio.to_thread(
            requests.find_regions_request,
            file,
            find,
            effort=effort,
            output_format=output_format,
            preview_side=preview_side,
        )
        return await self._call(self._blur.FindRegions, request, self._instant_timeout)

    async def preview_image(
        self, order_id: str, image_id: str, *, result: bool = False, max_side: int = 0
    ) -> blur.PreviewImageResponse:
        """Draw the original of an image, which its order must keep, or its result, as the server sees it."""
        request = requests.preview_request(order_id, image_id, result=result, max_side=max_side)
        return await self._call(self._blur.PreviewImage, request, self._instant_timeout)

    async def status(self, order_id: str, images: bool = False) -> blur.StatusResponse:
        """Return an order, optionally with its first 1,000 images."""
        request = requests.status_request(order_id, images=images)
        return await self._call(self._blur.Status, request)

    async def images(
        self, order_id: str, *, state: ImageState.ValueType = ImageState.IMAGE_STATE_UNSPECIFIED, page_size: int = 1000
    ) -> AsyncIterator[Image]:
        """Yield all images of an order by position; reads a page at a time."""
        request = blur.ListImagesRequest(order_id=order_id, page_size=page_size, state=state)
        while True:
            page = await self._call(self._blur.ListImages, request)
            for image in page.images:
                yield image
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def watch(
        self, order_id: str, *, after_revision: int = 0, retries: int = RETRIES
    ) -> AsyncGenerator[blur.WatchStatusResponse, None]:
        """Yield the order, then each change until it has finished and no delivery is open.

        Resumes after lost connections and restarts of the server; a change may then be repeated.
        """
        progress = WatchProgress(
            order_id, after_revision, server=self.server, timeout=self._stream_timeout, retries=retries
        )
        while True:
            failure: RetryableError | None = None
            try:
                request, timeout = progress.next_call()
                async with aclosing(self._stream(self._blur.WatchStatus, request, timeout)) as messages:
                    async for message in messages:
                        progress.take(message)
                        yield message
                if progress.finished:
                    return
            except RetryableError as error:
                failure = error
            await asyncio.sleep(progress.pause_after(failure))

    async def send(
        self, order_id: str, *, email: str = "", when_ready: bool = False, request_id: str | None = None
    ) -> Delivery:
        """E-mail the results."""
        request = blur.SendImagesRequest(
            order_id=order_id, email=email, when_ready=when_ready, request_id=requests.new_id(request_id)
        )
        return (await self._call(self._blur.SendImages, request)).delivery

    async def download(
        self,
        order_id: str,
        directory: str | os.PathLike[str],
        *,
        image_ids: Iterable[str] = (),
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
        on_file: Callable[[Path], None] | None = None,
    ) -> list[Path]:
        """Save the results of all or some images in a folder. The functions are called from another thread."""
        request = blur.DownloadImagesRequest(order_id=order_id, image_ids=image_ids)
        with FileSaver(Path(directory), replace=replace, on_bytes=on_bytes, on_file=on_file) as saver:
            async with aclosing(self._stream(self._blur.DownloadImages, request, self._stream_timeout)) as parts:
                async for part in parts:
                    await asyncio.to_thread(saver.take, part)
            return await asyncio.to_thread(saver.finish)

    async def download_archive(
        self,
        order_id: str,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Path:
        """Save the results as one ZIP archive; resumes after lost connections. Otherwise as `download`."""
        request, progress = blur.DownloadImagesRequest(order_id=order_id, archive=True), ArchiveProgress()
        with FileSaver(Path(path), archive=True, replace=replace, on_bytes=on_bytes) as saver:
            while True:
                try:
                    stream = self._stream(self._blur.DownloadImages, request, self._stream_timeout)
                    async with aclosing(stream) as parts:
                        async for part in parts:
                            if progress.take(part):
                                await asyncio.to_thread(saver.take, part)
                    break
                except ServerUnavailableError as error:
                    pause = progress.pause_after(error, request)
                    if pause is None:
                        break
                    await asyncio.sleep(pause)
            (saved,) = await asyncio.to_thread(saver.finish)
            return saved

    async def _stream(
        self,
        rpc: Callable[..., Any],
        request: object,
        timeout: float | None,  # noqa: ASYNC109 - as of `_call`
    ) -> AsyncGenerator[Any, None]:
        with mapped_errors(self.server):
            call = rpc(request, timeout=timeout, metadata=self._metadata)
            try:
                async for message in call:
                    yield message
            finally:
                call.cancel()  # if the caller stops early; no effect on a finished call

    async def cancel(self, order_id: str) -> Order:
        """Cancel the images that have not ended; existing results are kept."""
        request = blur.CancelOrderRequest(order_id=order_id)
        return (await self._call(self._blur.CancelOrder, request)).order

    async def revise_images(
        self, order_id: str, specs: BlurSpec | Mapping[str, BlurSpec], *, request_id: str | None = None
    ) -> Order:
        """Blur images of a finished order again, from the originals that it keeps; return the order."""
        request = requests.revise_request(order_id, specs, request_id)
        return (await self._call(self._blur.ReviseImages, request)).order

    async def delete_originals(self, order_id: str) -> Order:
        """Delete the originals that an order keeps for `revise_images`; results are kept."""
        request = blur.DeleteOriginalsRequest(order_id=order_id)
        return (await self._call(self._blur.DeleteOriginals, request)).order

    async def webhook_secret(self) -> str:
        """Return the secret that signs the webhooks of this caller's orders, for `verify_webhook`."""
        request = blur.GetWebhookSecretRequest()
        return (await self._call(self._blur.GetWebhookSecret, request)).secret

    async def rotate_webhook_secret(self) -> str:
        """Replace that secret and return the new one; for 24 hours webhooks are signed with both."""
        request = blur.RotateWebhookSecretRequest()
        return (await self._call(self._blur.RotateWebhookSecret, request)).secret

    async def delete(self, order_id: str) -> None:
        """Delete an order with its images, results and address."""
        await self._call(self._blur.DeleteOrder, blur.DeleteOrderRequest(order_id=order_id))

    async def subscribe(self, email: str, *, locale: str = "") -> bool:
        """Subscribe to the newsletter; return whether the address has to be confirmed by the token of an e-mail."""
        request = subscription.SubscribeRequest(email=email, locale=locale)
        return (await self._call(self._subscription.Subscribe, request)).confirmation_required

    async def confirm(self, token: str) -> None:
        """Confirm a subscription with the token of a confirmation e-mail."""
        request = subscription.ConfirmSubscriptionRequest(token=token)
        await self._call(self._subscription.ConfirmSubscription, request)

    async def unsubscribe(self, *, email: str | None = None, token: str | None = None) -> None:
        """End a subscription, either by address or by the token of a newsletter."""
        request = requests.unsubscribe_request(email, token)
        await self._call(self._subscription.Unsubscribe, request)


async def _in_thread(send: Callable[[], _Response], cancel: Callable[[], None]) -> _Response:
    """Send in a thread; a caller that is cancelled waits until the thread has ended, too."""
    sending = asyncio.ensure_future(asyncio.to_thread(send))
    try:
        return await asyncio.shield(sending)
    except asyncio.CancelledError:
        cancel()
        await asyncio.wait([sending])
        raise
