"""The client: one method per thing one can ask of a server."""

import os
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from imageblur.v1 import blur_service_pb2 as blur
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import BlurSpec, Delivery, Image, ImageState, Order
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from imageblur_client.channel import DEFAULT_SERVER, NOTHING, Security, address, open_channel
from imageblur_client.download import save_archive, save_files
from imageblur_client.resume import whole_archive
from imageblur_client.rpc_errors import translated
from imageblur_client.upload import AnyFile, Progress, Source, Upload
from imageblur_client.watch import RETRIES, Watch

_ANSWER_SECONDS = 30.0


class Client:
    """Talks to one server; connects with the first call. Safe to use from several threads.

    timeout: seconds a call may take, for an upload, a download or a watch the whole of it; None: 30 for what is
    answered at once, no limit for those.
    security: an API key and TLS, where the server wants them.

    Every method raises ImageBlurClientError.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, timeout: float | None = None, security: Security = NOTHING
    ) -> None:
        self.server = address(server)
        self._long = timeout
        self._short = _ANSWER_SECONDS if timeout is None else timeout
        self._channel = open_channel(self.server, security)
        self._blur = BlurServiceStub(self._channel)
        self._subscription = SubscriptionServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and every call that is under way."""
        self._channel.close()

    def limits(self) -> blur.GetLimitsResponse:
        """What the server takes."""
        with translated(self.server):
            return self._blur.GetLimits(blur.GetLimitsRequest(), timeout=self._short)

    def order(
        self,
        email: str,
        files: Iterable[AnyFile],
        *,
        spec: BlurSpec | None = None,
        notify: bool = False,
        locale: str = "",
        request_id: str | None = None,
        on_progress: Progress | None = None,
    ) -> Order:
        """Places an order; returns when the server has accepted it. Memory does not grow with the files.

        request_id: a UUID; a repeated call with it makes no second order. None: a new one.
        on_progress: called with the bytes sent and the bytes in all, from another thread.

        Raises: OSError when a file cannot be read; before anything is sent, if that shows by then.
        """
        header = blur.OrderHeader(
            email=email, spec=spec, notify=notify, locale=locale, request_id=request_id or str(uuid.uuid4())
        )
        upload = Upload(header, [Source.of(file) for file in files], on_progress)
        with translated(self.server):
            return upload.send(self._blur, self._long).order

    def status(self, order_id: str, images: bool = False) -> blur.StatusResponse:
        """How an order stands, on demand with its first 1,000 images."""
        view = blur.OrderView.ORDER_VIEW_FULL if images else blur.OrderView.ORDER_VIEW_BASIC
        with translated(self.server):
            return self._blur.Status(blur.StatusRequest(order_id=order_id, view=view), timeout=self._short)

    def images(
        self,
        order_id: str,
        *,
        state: ImageState.ValueType = ImageState.IMAGE_STATE_UNSPECIFIED,
        page_size: int = 1000,
    ) -> Iterator[Image]:
        """All images of an order by position; asks for a page at a time."""
        request = blur.ListImagesRequest(order_id=order_id, page_size=page_size, state=state)
        while True:
            with translated(self.server):
                page = self._blur.ListImages(request, timeout=self._short)
            yield from page.images
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def watch(
        self, order_id: str, *, after_revision: int = 0, retries: int = RETRIES
    ) -> Generator[blur.WatchStatusResponse, None, None]:
        """How the order stands, then each change until it has finished and nothing is being mailed.

        Close it to stop before. It goes on after lost connections and restarts of the server, at most `retries` times
        without news in between; a change may then come twice.
        """
        watch = Watch(self._blur, order_id, server=self.server, timeout=self._long, retries=retries)
        return watch.changes(after_revision)

    def send(self, order_id: str, *, when_ready: bool = False, request_id: str | None = None) -> Delivery:
        """Asks for the results by mail; with when_ready for as soon as the order has finished."""
        request = blur.SendImagesRequest(
            order_id=order_id, when_ready=when_ready, request_id=request_id or str(uuid.uuid4())
        )
        with translated(self.server):
            return self._blur.SendImages(request, timeout=self._short).delivery

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
        """Writes the results (all, or the images named) into a folder, which is made if need be.

        replace: True: files that are there already are replaced; else one that differs is a FileExistsError.

        Raises: BrokenDownload, OSError. Files that were finished before stay; there are never parts of files.
        """
        with self._results(blur.DownloadImagesRequest(order_id=order_id, image_ids=image_ids)) as parts:
            return save_files(parts, Path(directory), replace=replace, on_bytes=on_bytes, on_file=on_file)

    def download_archive(
        self,
        order_id: str,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Path:
        """Writes the results as one ZIP archive; goes on where it broke off. Otherwise as `download`."""
        request = blur.DownloadImagesRequest(order_id=order_id, archive=True)
        parts = whole_archive(self._parts, request)
        return save_archive(parts, Path(path), replace=replace, on_bytes=on_bytes)

    def _parts(self, request: blur.DownloadImagesRequest) -> Iterator[blur.DownloadImagesResponse]:
        with self._results(request) as parts:
            yield from parts

    @contextmanager
    def _results(self, request: blur.DownloadImagesRequest) -> Iterator[Iterator[blur.DownloadImagesResponse]]:
        with translated(self.server):
            parts = self._blur.DownloadImages(request, timeout=self._long)
            try:
                yield parts
            finally:
                parts.cancel()  # A full disk, Ctrl-C; does nothing to a call that has ended.

    def cancel(self, order_id: str) -> Order:
        """Cancels what has not ended; images already blurred stay."""
        with translated(self.server):
            return self._blur.CancelOrder(blur.CancelOrderRequest(order_id=order_id), timeout=self._short).order

    def delete(self, order_id: str) -> None:
        """Deletes an order, its images, results and address now."""
        with translated(self.server):
            self._blur.DeleteOrder(blur.DeleteOrderRequest(order_id=order_id), timeout=self._short)

    def subscribe(self, email: str, *, locale: str = "") -> bool:
        """Subscribes to the weekly mailing; True: the address's owner has to confirm by the e-mail's token."""
        request = subscription.SubscribeRequest(email=email, locale=locale)
        with translated(self.server):
            return self._subscription.Subscribe(request, timeout=self._short).confirmation_required

    def confirm(self, token: str) -> None:
        """Confirms a subscription with the token from the e-mail."""
        request = subscription.ConfirmSubscriptionRequest(token=token)
        with translated(self.server):
            self._subscription.ConfirmSubscription(request, timeout=self._short)

    def unsubscribe(self, *, email: str | None = None, token: str | None = None) -> None:
        """Ends a subscription, by address or by the token of any newsletter: one of the two."""
        if email is not None and token is None:
            request = subscription.UnsubscribeRequest(email=email)
        elif token is not None and email is None:
            request = subscription.UnsubscribeRequest(token=token)
        else:
            raise TypeError("give either email or token")
        with translated(self.server):
            self._subscription.Unsubscribe(request, timeout=self._short)
