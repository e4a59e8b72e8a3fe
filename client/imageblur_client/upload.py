"""Uploads an order: files are read in chunks, as fast as the server receives them."""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, cast

import grpc
from imageblur.v1.blur_service_pb2 import (
    ImageStart,
    OrderHeader,
    OrderStart,
    StreamBlurOrderRequest,
    StreamBlurOrderResponse,
)
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import BlurSpec

from imageblur_client.sources import AnyListing, AnySource, as_listing, as_source

CHUNK_BYTES = 1024 * 1024

Request = TypeVar("Request")
Response = TypeVar("Response")
ProgressCallback: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class InputFile:
    """An image to send, with a file name or blur spec of its own."""

    content: str | os.PathLike[str] | bytes
    """Path of the file, or its bytes."""
    name: str | None = None
    """File name; None: the last part of the path."""
    spec: BlurSpec | None = None
    """Blur spec of this image; None: the order's."""


AnyFile: TypeAlias = str | os.PathLike[str] | tuple[str, bytes] | InputFile


def listed(files: AnyFile | Iterable[AnyFile]) -> list[AnyFile]:
    """Return files as a list, also if it is one."""
    if isinstance(files, str | os.PathLike | InputFile):
        return [files]
    if isinstance(files, tuple) and len(files) == 2 and isinstance(files[1], bytes):
        return [(str(files[0]), files[1])]
    return list(cast("Iterable[AnyFile]", files))


@dataclass(frozen=True)
class UploadFile:
    """A file that exists and is readable."""

    start: ImageStart
    content: Path | bytes

    @classmethod
    def of(cls, given: AnyFile) -> "UploadFile":
        """Return the file for a path, a name with bytes, or an InputFile.

        Raises:
            OSError: The path is not a readable file.
        """
        if isinstance(given, tuple):
            given = InputFile(given[1], name=given[0])
        elif not isinstance(given, InputFile):
            given = InputFile(given)
        if isinstance(given.content, bytes):
            return cls(_start(given.name or "image", len(given.content), given.spec), given.content)
        path = Path(given.content)
        if path.exists() and not path.is_file():
            raise IsADirectoryError(errno.EISDIR, "is not a file", str(path))
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
        return cls(_start(given.name or path.name, size, given.spec), path)

    def chunks(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the file's bytes from an offset on, in chunks of at most CHUNK_BYTES.

        Raises:
            OSError: The file cannot be read, or its size has changed.
        """
        if isinstance(self.content, bytes):
            for at in range(offset, len(self.content), CHUNK_BYTES):
                yield self.content[at : at + CHUNK_BYTES]
            return
        remaining = self.start.size_bytes - offset
        with self.content.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                remaining -= len(chunk)
                yield chunk
        if remaining:
            raise OSError(errno.EIO, "has changed during the upload", str(self.content))


def _start(name: str, size: int, spec: BlurSpec | None) -> ImageStart:
    # File names may be invalid Unicode, which protobuf does not accept.
    return ImageStart(filename=name.encode("utf-8", "replace").decode(), size_bytes=size, spec=spec)


class GuardedCall(Generic[Request, Response]):
    """A call with a stream of requests, which passes on what the stream raises."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self._requests = requests
        self._failure: Exception | None = None
        self._call: grpc.Future[Response] | None = None
        self._call_known = threading.Event()

    def send(self, rpc: Any, timeout: float | None) -> Response:
        """Send the requests and return the response.

        Raises:
            grpc.RpcError: The call failed.
            Exception: The stream raised it.
        """
        call: grpc.Future[Response] = rpc.future(self._guarded(), timeout=timeout)
        self._call = call
        self._call_known.set()
        try:
            return call.result()
        except (grpc.RpcError, grpc.FutureCancelledError):
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            call.cancel()  # on Ctrl-C; no effect on a finished call

    def cancel(self) -> None:
        """Cancel the call, from another thread."""
        self._call_known.wait()
        if self._call is not None:
            self._call.cancel()

    def _guarded(self) -> Iterator[Request]:
        # gRPC runs this in a thread where an exception would only be logged: keep it and cancel the call.
        try:
            yield from self._requests
        except Exception as failure:
            self._failure = failure
            self._call_known.wait()
            if self._call is not None:
                self._call.cancel()


class UploadStream:
    """One StreamBlurOrder call."""

    def __init__(
        self,
        header: OrderHeader,
        files: Sequence[UploadFile],
        on_progress: ProgressCallback | None = None,
        *,
        sources: Iterable[AnySource] = (),
        listings: Iterable[AnyListing] = (),
    ) -> None:
        self._header = header
        self._files = files
        self._sources = [as_source(each) for each in sources]
        self._listings = [as_listing(each) for each in listings]
        self._on_progress = on_progress
        self._call: GuardedCall[StreamBlurOrderRequest, StreamBlurOrderResponse] = GuardedCall(self._order_parts())

    def send(self, stub: BlurServiceStub, timeout: float | None) -> StreamBlurOrderResponse:
        """Send the order and return the response.

        Raises:
            grpc.RpcError: The call failed.
            Exception: Reading a file or `on_progress` failed.
        """
        return self._call.send(stub.StreamBlurOrder, timeout)

    def cancel(self) -> None:
        """Cancel the call, from another thread; the server then keeps nothing of it."""
        self._call.cancel()

    def _order_parts(self) -> Iterator[StreamBlurOrderRequest]:
        total = sum(file.start.size_bytes for file in self._files)
        sent = 0
        count = len(self._files) + len(self._sources)
        start = OrderStart(order=self._header, image_count=count, listings=self._listings)
        yield StreamBlurOrderRequest(start=start)
        for file in self._files:
            yield StreamBlurOrderRequest(image=file.start)
            for chunk in file.chunks():
                yield StreamBlurOrderRequest(chunk=chunk)
                sent += len(chunk)
                if self._on_progress is not None:
                    self._on_progress(sent, total)
        for source in self._sources:
            yield StreamBlurOrderRequest(image=ImageStart(source=source))
