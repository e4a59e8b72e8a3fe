"""An order on its way to the server: files read a chunk at a time, as fast as the server takes them."""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

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

CHUNK_BYTES = 1024 * 1024

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class InputFile:
    """An image to send; use it instead of a bare path to give a name or a spec of its own."""

    content: str | os.PathLike[str] | bytes
    """Where the file is, or its bytes."""
    name: str | None = None
    """What it is called; None: the last part of its path."""
    spec: BlurSpec | None = None
    """How to blur this image; None: as the order says."""


AnyFile: TypeAlias = str | os.PathLike[str] | tuple[str, bytes] | InputFile


@dataclass(frozen=True)
class Source:
    """A file that was found to be there and readable."""

    start: ImageStart
    content: Path | bytes

    @classmethod
    def of(cls, given: AnyFile) -> "Source":
        """Raises OSError for a path that is not a readable file."""
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

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, at most CHUNK_BYTES at a time."""
        if isinstance(self.content, bytes):
            for at in range(0, len(self.content), CHUNK_BYTES):
                yield self.content[at : at + CHUNK_BYTES]
            return
        left = self.start.size_bytes
        with self.content.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                left -= len(chunk)
                yield chunk
        if left:
            raise OSError(errno.EIO, "changed while it was being sent", str(self.content))


def _start(name: str, size: int, spec: BlurSpec | None) -> ImageStart:
    # A file system may hold names that are no Unicode; protobuf takes none of them.
    return ImageStart(filename=name.encode("utf-8", "replace").decode(), size_bytes=size, spec=spec)


class Upload:
    """One StreamBlurOrder call."""

    def __init__(self, header: OrderHeader, sources: Sequence[Source], on_progress: Progress | None = None) -> None:
        self._header = header
        self._sources = sources
        self._on_progress = on_progress
        self._failure: Exception | None = None
        self._call: grpc.Future[StreamBlurOrderResponse] | None = None
        self._call_known = threading.Event()

    def send(self, stub: BlurServiceStub, timeout: float | None) -> StreamBlurOrderResponse:
        """Sends it all. Raises what reading a file or `on_progress` raised, or grpc.RpcError."""
        call = stub.StreamBlurOrder.future(self._parts(), timeout=timeout)
        self._call = call
        self._call_known.set()
        try:
            return call.result()
        except (grpc.RpcError, grpc.FutureCancelledError):
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            call.cancel()  # Ctrl-C; does nothing to a call that has ended.

    def _parts(self) -> Iterator[StreamBlurOrderRequest]:
        # gRPC runs this in a thread of its own, where an exception would only be logged: cancel the call and keep it.
        try:
            yield from self._whole_order()
        except Exception as failure:
            self._failure = failure
            self._call_known.wait()
            if self._call is not None:
                self._call.cancel()

    def _whole_order(self) -> Iterator[StreamBlurOrderRequest]:
        total = sum(source.start.size_bytes for source in self._sources)
        sent = 0
        yield StreamBlurOrderRequest(start=OrderStart(order=self._header, image_count=len(self._sources)))
        for source in self._sources:
            yield StreamBlurOrderRequest(image=source.start)
            for chunk in source.chunks():
                yield StreamBlurOrderRequest(chunk=chunk)
                sent += len(chunk)
                if self._on_progress is not None:
                    self._on_progress(sent, total)
