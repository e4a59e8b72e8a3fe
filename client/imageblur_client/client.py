"""The client of BlurService and SubscriptionService."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar, Unpack

import grpc
from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import BlurSpec, Delivery, Effort, Find, Image, ImageFormat, ImageState, Order
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from imageblur_client import requests
from imageblur_client.channel import DEFAULT_SERVER, NO_SECURITY, Security, address, open_channel
from imageblur_client.download import FileSaver, save
from imageblur_client.requests import OrderFields
from imageblur_client.resumable import PATIENCE_SECONDS, InterruptionCallback, ResumableOrder
from imageblur_client.resume import whole_archive
from imageblur_client.rpc_errors import mapped_errors
from imageblur_client.sources import AnyListing, AnySource
from imageblur_client.upload import AnyFile, ProgressCallback, UploadFile, UploadStream, listed
from imageblur_client.watch import RETRIES, WatchProgress, watch_changes

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

TIMEOUT_SECONDS = 30.0
INSTANT_SECONDS = 60.0
"""Longer than a server lets an instant call wait by default, so that its own error arrives."""


class Client:
    """A client of one server; connects with the first call. Thread-safe.

    Args:
        server: Address of the server.
        timeout: Timeout of a call in seconds; None: 30, and none for uploads, downloads and watches.
        security: API key and TLS.

    Every method raises ImageBlurClientError if its call fails.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, timeout: float | None = None, security: Security = NO_SECURITY
    ) -> None:
        self.server = address(server)
        self._stream_timeout = timeout
        self._timeout = TIMEOUT_SECONDS if timeout is None else timeout
        self._instant_timeout = INSTANT_SECONDS if timeout is None else timeout
        self._channel = open_channel(self.server, security)
        self._blur = BlurServiceStub(self._channel)
        self._subscription = SubscriptionServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; active calls are cancelled."""
        self._channel.close()

    def _call(
        self, rpc: "grpc.UnaryUnaryMultiCallable[_Request, _Response]", request: _Request, timeout: float | None = None
    ) -> _Response:
        with mapped_errors(self.server):
            return rpc(request, timeout=self._timeout if timeout is None else timeout)

    def limits(self) -> blur.GetLimitsResponse:
        """Return the limits of the server."""
        return self._call(self._blur.GetLimits, blur.GetLimitsRequest())

    def order(
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
        """Place an order, in constant memory; return when the server has accepted it.

        Args:
            files: Images to blur, or one.
            files_after_email: The images, if the first argument is the address, as it had to be once.
            sources: More images, which the server fetches: `https://…` or `place:key`.
            listings: More images: all those of places, as `place:folder` or by `listing`.
            on_progress: Called with the bytes sent and the total, from another thread.
            options: See `OrderFields`.

        Raises:
            OSError: A file cannot be read.
            ValueError: A source is malformed.
        """
        if files_after_email is not None:
            options["email"], files = str(files), files_after_email
        header = requests.order_header(options)
        uploads = [UploadFile.of(file) for file in listed(files)]
        upload = UploadStream(header, uploads, on_progress, sources=sources, listings=listings)
        with mapped_errors(self.server):
            return upload.send(self._blur, self._stream_timeout).order

    def resumable_order(
        self,
        files: AnyFile | Iterable[AnyFile],
        /,
        *,
        patience: float = PATIENCE_SECONDS,
        on_progress: ProgressCallback | None = None,
        on_interruption: InterruptionCallback | None = None,
        **options: Unpack[OrderFields],
    ) -> Order:
        """Place an order as `order` does, going on after lost connections and restarts of the server.

        The server keeps what was sent for a day. A later call with the same files, options and `request_id`, also of
        another process, sends the rest.

        Args:
            files: Images to blur, or one.
            patience: Seconds to wait for a server that is not there.
            on_progress: Called with the bytes sent and the total, from another thread.
            on_interruption: Called with the error when a connection is lost.
            options: See `OrderFields`.

        Raises:
            OSError: A file cannot be read.
        """
        return ResumableOrder(
            stub=self._blur,
            server=self.server,
            header=requests.order_header(options),
            files=[UploadFile.of(file) for file in listed(files)],
            timeout=self._timeout,
            patience=patience,
            on_progress=on_progress,
            on_interruption=on_interruption,
        ).send()

    def blur_image(self, file: AnyFile, *, spec: BlurSpec | None = None) -> blur.BlurImageResponse:
        """Blur one image and return it; the server keeps nothing of it.

        Args:
            file: The image; as large as a message may be (`limits().max_message_bytes`).
            spec: How; None: the file's own, or the server's default.

        Raises:
            InvalidArgumentError: The image cannot be blurred; `reason` is the name of the FailureReason.
            OSError: The file cannot be read.
        """
        request = requests.blur_image_request(file, spec)
        return self._call(self._blur.BlurImage, request, self._instant_timeout)

    def find_regions(
        self,
        file: AnyFile,
        find: Iterable[Find] = (),
        *,
        effort: Effort.ValueType = Effort.EFFORT_UNSPECIFIED,
        output_format: ImageFormat.ValueType = ImageFormat.IMAGE_FORMAT_UNSPECIFIED,
        preview_side: int = 0,
    ) -> blur.FindRegionsResponse:
        """Find what could be hidden in one image, or draw a preview of it; the server keeps nothing of it.

        Args:
            file: The image; as large as a message may be.
            find: What to find; may be empty if a preview is asked for.
            effort: How thoroughly; unspecified: balanced.
            output_format: Of the result that is planned; unspecified: the image's own.
            preview_side: Longest side of the preview in pixels; 0: none.

        Raises:
            As `blur_image`.
        """
        request = requests.find_regions_request(
            file, find, effort=effort, output_format=output_format, preview_side=preview_side
        )
        return self._call(self._blur.FindRegions, request, self._instant_timeout)

    def preview_image(
        self, order_id: str, image_id: str, *, result: bool = False, max_side: int = 0
    ) -> blur.PreviewImageResponse:
        """Draw the original of an image, which its order must keep, or its result, as the server sees it.

        Args:
            order_id: ID of the order.
            image_id: ID of the image.
            result: Draw the result.
            max_side: Longest side in pixels; 0: the server's default.
        """
        request = requests.preview_request(order_id, image_id, result=result, max_side=max_side)
        return self._call(self._blur.PreviewImage, request, self._instant_timeout)

    def status(self, order_id: str, images: bool = False) -> blur.StatusResponse:
        """Return an order, optionally with its first 1,000 images."""
        return self._call(self._blur.Status, requests.status_request(order_id, images=images))

    def images(
        self, order_id: str, *, state: ImageState.ValueType = ImageState.IMAGE_STATE_UNSPECIFIED, page_size: int = 1000
    ) -> Iterator[Image]:
        """Yield all images of an order by position; reads a page at a time."""
        request = blur.ListImagesRequest(order_id=order_id, page_size=page_size, state=state)
        while True:
            page = self._call(self._blur.ListImages, request)
            yield from page.images
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def watch(
        self, order_id: str, *, after_revision: int = 0, retries: int = RETRIES
    ) -> Generator[blur.WatchStatusResponse, None, None]:
        """Yield the order, then each change until it has finished and no delivery is open.

        Resumes after lost connections and restarts of the server, at most `retries` times without a change in between;
        a change may then be repeated. Close the generator to stop early.
        """
        progress = WatchProgress(
            order_id, after_revision, server=self.server, timeout=self._stream_timeout, retries=retries
        )
        yield from watch_changes(self._blur, progress, server=self.server)

    def send(
        self, order_id: str, *, email: str = "", when_ready: bool = False, request_id: str | None = None
    ) -> Delivery:
        """E-mail the results.

        Args:
            order_id: ID of the order.
            email: Address of an order that has none; it becomes the order's.
            when_ready: Wait for the order to finish.
            request_id: A UUID; a repeated call with it returns the first delivery. None: a new one.

        Raises:
            FailedPreconditionError: The order has not finished, or has no address (`reason` is EMAIL_REQUIRED).
        """
        request = blur.SendImagesRequest(
            order_id=order_id, email=email, when_ready=when_ready, request_id=requests.new_id(request_id)
        )
        return self._call(self._blur.SendImages, request).delivery

    def download(
        self,
        order_id: str,
        directory: str | os.PathLike[str],
        *,
        image_ids: Iterable[str] = (),
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
        on_file: Callable[[Path], None] | None = None,
    ) -> list[Path]:
        """Save the results of all or some images in a folder, which is created if needed.

        Args:
            order_id: ID of the order.
            directory: The folder.
            image_ids: IDs of images; empty: all that succeeded.
            replace: Replace existing files; otherwise a file that differs is an error.
            on_bytes: Called with the number of bytes of each chunk.
            on_file: Called with the path of each file.

        Raises:
            BrokenDownloadError: A received file is incomplete or damaged. Finished files are kept.
            OSError: A file cannot be written, or exists and differs.
        """
        with self._results(blur.DownloadImagesRequest(order_id=order_id, image_ids=image_ids)) as parts:
            return save(parts, FileSaver(Path(directory), replace=replace, on_bytes=on_bytes, on_file=on_file))

    def download_archive(
        self,
        order_id: str,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Path:
        """Save the results as one ZIP archive; resumes after lost connections. Otherwise as `download`."""
        request = blur.DownloadImagesRequest(order_id=order_id, archive=True)
        parts = whole_archive(self._parts, request)
        (saved,) = save(parts, FileSaver(Path(path), archive=True, replace=replace, on_bytes=on_bytes))
        return saved

    def _parts(self, request: blur.DownloadImagesRequest) -> Iterator[blur.DownloadImagesResponse]:
        with self._results(request) as parts:
            yield from parts

    @contextmanager
    def _results(self, request: blur.DownloadImagesRequest) -> Iterator[Iterator[blur.DownloadImagesResponse]]:
        with mapped_errors(self.server):
            parts = self._blur.DownloadImages(request, timeout=self._stream_timeout)
            try:
                yield parts
            finally:
                parts.cancel()  # on a full disk or Ctrl-C; no effect on a finished call

    def cancel(self, order_id: str) -> Order:
        """Cancel the images that have not ended; existing results are kept."""
        return self._call(self._blur.CancelOrder, blur.CancelOrderRequest(order_id=order_id)).order

    def revise_images(
        self, order_id: str, specs: BlurSpec | Mapping[str, BlurSpec], *, request_id: str | None = None
    ) -> Order:
        """Blur images of a finished order again, from the originals that it keeps; return the order, which is running.

        Args:
            order_id: ID of the order.
            specs: How: one spec for all images, or the specs of some by image ID.
            request_id: A UUID; a repeated call with it changes nothing more. None: a new one.
        """
        request = requests.revise_request(order_id, specs, request_id)
        return self._call(self._blur.ReviseImages, request).order

    def delete_originals(self, order_id: str) -> Order:
        """Delete the originals that an order keeps for `revise_images`; results are kept."""
        request = blur.DeleteOriginalsRequest(order_id=order_id)
        return self._call(self._blur.DeleteOriginals, request).order

    def webhook_secret(self) -> str:
        """Return the secret that signs the webhooks of this caller's orders, for `verify_webhook`."""
        return self._call(self._blur.GetWebhookSecret, blur.GetWebhookSecretRequest()).secret

    def rotate_webhook_secret(self) -> str:
        """Replace that secret and return the new one; for 24 hours webhooks are signed with both."""
        return self._call(self._blur.RotateWebhookSecret, blur.RotateWebhookSecretRequest()).secret

    def delete(self, order_id: str) -> None:
        """Delete an order with its images, results and address."""
        self._call(self._blur.DeleteOrder, blur.DeleteOrderRequest(order_id=order_id))

    def subscribe(self, email: str, *, locale: str = "") -> bool:
        """Subscribe to the newsletter; return whether the address has to be confirmed by the token of an e-mail."""
        request = subscription.SubscribeRequest(email=email, locale=locale)
        return self._call(self._subscription.Subscribe, request).confirmation_required

    def confirm(self, token: str) -> None:
        """Confirm a subscription with the token of a confirmation e-mail."""
        request = subscription.ConfirmSubscriptionRequest(token=token)
        self._call(self._subscription.ConfirmSubscription, request)

    def unsubscribe(self, *, email: str | None = None, token: str | None = None) -> None:
        """End a subscription, either by address or by the token of a newsletter."""
        request = requests.unsubscribe_request(email, token)
        self._call(self._subscription.Unsubscribe, request)
