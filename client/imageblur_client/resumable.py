"""Resumable uploads: they go on after cut connections, restarts of the server and of the client."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

import grpc
from imageblur.v1.blur_service_pb2 import (
    AppendStart,
    AppendUploadRequest,
    AppendUploadResponse,
    CompleteUploadRequest,
    CreateUploadRequest,
    GetUploadRequest,
    OrderHeader,
    Upload,
)
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import Order

from imageblur_client.errors import FailedPreconditionError, ImageBlurClientError, RetryableError
from imageblur_client.rpc_errors import mapped_errors
from imageblur_client.upload import GuardedCall, ProgressCallback, UploadFile

PATIENCE_SECONDS = 600.0
"""How long an upload waits for a server that does not come back."""
_LONGEST_PAUSE = 15.0
_T = TypeVar("_T")

InterruptionCallback: TypeAlias = Callable[[ImageBlurClientError], None]


@dataclass(kw_only=True)
class ResumableOrder:
    """An order that is sent in as many calls as it takes.

    Args:
        stub: The service.
        server: Its address, for error messages.
        header: What to do; its request_id finds the upload again.
        files: The images.
        timeout: Of a call without images, in seconds.
        patience: Seconds without progress until it gives up.
        on_progress: Called with the bytes that were sent and the total.
        on_interruption: Called with the error when a connection is lost, before it goes on.
    """

    stub: BlurServiceStub
    server: str
    header: OrderHeader
    files: Sequence[UploadFile]
    timeout: float
    patience: float = PATIENCE_SECONDS
    on_progress: ProgressCallback | None = None
    on_interruption: InterruptionCallback | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _call: GuardedCall[AppendUploadRequest, AppendUploadResponse] | None = None

    def send(self) -> Order:
        """Send what the server does not have, and return the accepted order.

        Raises:
            RetryableError: The server was not there for too long; what was sent is kept for a day.
            ImageBlurClientError: The order was refused.
            OSError: A file cannot be read, or has changed.
        """
        upload = self._create()  # not patiently: the address may be wrong
        pauses = _Pauses(self)
        while not upload.completed and upload.received_bytes < upload.size_bytes:
            offset = upload.received_bytes
            try:
                upload = self._append(upload)
            except RetryableError as error:
                pauses.make(error)
                upload = self._repeat(partial(self._find, upload.upload_id), pauses)
            except FailedPreconditionError as error:
                if error.reason != "UPLOAD_OFFSET":
                    raise
                pauses.make(error)
                upload = self._repeat(partial(self._find, upload.upload_id), pauses)
            if upload.received_bytes > offset:
                pauses = _Pauses(self)
        return self._repeat(partial(self._complete, upload.upload_id), pauses)

    def cancel(self) -> None:
        """Have `send`, in another thread, raise; what was sent is kept."""
        self._cancelled.set()
        if self._call is not None:
            self._call.cancel()

    def pause(self, seconds: float) -> None:
        """Wait, unless it was cancelled.

        Raises:
            ImageBlurClientError: It was cancelled.
        """
        if self._cancelled.wait(seconds):
            raise ImageBlurClientError("the upload was cancelled", code=grpc.StatusCode.CANCELLED)

    def _create(self) -> Upload:
        request = CreateUploadRequest(order=self.header, images=[file.start for file in self.files])
        with mapped_errors(self.server):
            return self.stub.CreateUpload(request, timeout=self.timeout).upload

    def _append(self, upload: Upload) -> Upload:
        self.pause(0)
        self._call = GuardedCall(self._parts(upload))
        with mapped_errors(self.server):
            return self._call.send(self.stub.AppendUpload, None).upload

    def _parts(self, upload: Upload) -> Iterator[AppendUploadRequest]:
        sent = upload.received_bytes
        yield AppendUploadRequest(start=AppendStart(upload_id=upload.upload_id, offset=sent))
        begin = 0
        for file in self.files:
            if begin + file.start.size_bytes > sent:
                for chunk in file.chunks(sent - begin):
                    yield AppendUploadRequest(chunk=chunk)
                    sent += len(chunk)
                    if self.on_progress is not None:
                        self.on_progress(sent, upload.size_bytes)
            begin += file.start.size_bytes

    def _find(self, upload_id: str) -> Upload:
        with mapped_errors(self.server):
            return self.stub.GetUpload(GetUploadRequest(upload_id=upload_id), timeout=self.timeout).upload

    def _complete(self, upload_id: str) -> Order:
        with mapped_errors(self.server):
            return self.stub.CompleteUpload(CompleteUploadRequest(upload_id=upload_id), timeout=self.timeout).order

    def _repeat(self, call: Callable[[], _T], pauses: "_Pauses") -> _T:
        while True:
            try:
                return call()
            except RetryableError as error:
                pauses.make(error)


class _Pauses:
    """Pauses without progress in between: longer and longer, until the patience of the order is over."""

    def __init__(self, order: ResumableOrder) -> None:
        self._order = order
        self._begin: float | None = None
        self._count = 0

    def make(self, error: ImageBlurClientError) -> None:
        """Pause because of an error, or raise it if there were enough pauses."""
        order, now = self._order, time.monotonic()
        if self._begin is None:
            self._begin = now
            if order.on_interruption is not None:
                order.on_interruption(error)
        if now - self._begin > order.patience:
            raise error
        order.pause(error.retry_after or min(0.25 * 2**self._count, _LONGEST_PAUSE))
        self._count += 1
