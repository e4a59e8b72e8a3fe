"""Receives the images of an order: writes and hashes them as they arrive, checks limits, then commits."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from services.common.db.orders.new_orders import NewImage
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.errors import InvalidArgument, Unavailable, Violation
from services.common.domain.orders import ImageQueue, original_key, queue_for
from services.common.domain.sources import ImageSource
from services.common.infra import log
from services.common.infra.blobs import CHUNK, BlobWriter
from services.common.infra.head_starts import HeadStarts
from services.gateway.orders.messages.byte_limits import check_image_bytes, check_order_bytes
from services.gateway.orders.messages.requests import ParsedHeader, ParsedImage, ParsedListing
from services.gateway.orders.placement.broker_check import BrokerCheck
from services.gateway.orders.placement.list_sources import ListedImage
from services.gateway.orders.placement.pending_order import OrderStorage, PendingOrder, missing_blob_as_unavailable
from services.gateway.orders.placement.targets import with_targets
from services.gateway.rpc.callers import principal, rate_limit_key
from services.gateway.rpc.thread_pool import ThreadPool

HEARTBEAT_SECONDS = 10
BEGIN_SECONDS = 3.0
"""Timeout for the checks before an order is received."""
SLOW_SECONDS = 0.01
"""An image that arrives faster gets no head start: it would take the processor time that the upload needs."""

_log = log.get(__name__)


@dataclass(frozen=True)
class OrderReceiver:
    """Receives orders."""

    storage: OrderStorage
    threads: ThreadPool
    broker_check: BrokerCheck
    head_starts: HeadStarts

    @asynccontextmanager
    async def receive(self, method: str, header: ParsedHeader, image_count: int) -> AsyncIterator["OrderUpload"]:
        """Yield an upload for an order of the current caller. Unless it is committed in the block, nothing is stored.

        Raises:
            Unavailable: A dependency is unavailable, or a disk is almost full.
            ResourceExhausted: The queue is full, or the caller places orders too fast.
        """
        self.storage.external_access.check_header(header)
        pending = PendingOrder(
            storage=self.storage, principal=principal(), method=method, header=header, image_count=image_count
        )
        heartbeat = None if header.validate_only else asyncio.create_task(self._send_heartbeats(pending))
        try:
            await self._begin(pending)
            yield OrderUpload(pending, self.threads, self.head_starts)
        except BaseException:
            pending.abandoned = True
            self.head_starts.end(pending.order_id, committed=False)
            if pending.has_row:
                # Shielded: a client that disconnects cancels its call, and must not cancel the clean-up.
                await asyncio.shield(self.threads.run_to_end(pending.remove))
            raise
        finally:
            if heartbeat:
                heartbeat.cancel()

    async def _begin(self, pending: PendingOrder) -> None:
        key = rate_limit_key()
        self.broker_check.check_rate(key)
        # Concurrently, and both to their end: the clean-up after one must find what the other has done.
        outcomes = await asyncio.gather(
            self.broker_check.count_order(key, images=0 if pending.header.validate_only else pending.image_count),
            self._begin_in_time(pending),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        if pending.recipient_is_unconfirmed:
            await self.broker_check.count_unconfirmed(key)

    async def _begin_in_time(self, pending: PendingOrder) -> None:
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await self.threads.run(pending.begin)
        except TimeoutError:
            raise Unavailable("the database or the blob store does not respond") from None

    async def _send_heartbeats(self, pending: PendingOrder) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self.threads.run(pending.heartbeat)
            except Unavailable as error:
                _log.warning("heartbeat of an upload failed", error=str(error))
            except Exception:
                _log.exception("heartbeat of an upload failed")


class OrderUpload:
    """The images of one order."""

    def __init__(self, pending: PendingOrder, threads: ThreadPool, head_starts: HeadStarts) -> None:
        self._pending = pending
        self._head_starts = head_starts
        self._threads = threads
        self._images: list[NewImage] = []
        self._paths: list[str] = []
        """Path of each image below its listing's prefix, or its file name."""
        self._bytes = 0
        self._fingerprint = hashlib.sha256(_canonical(pending.header))
        self._order_spec = pending.header.spec.to_json()

    @asynccontextmanager
    async def image(self, parsed: ParsedImage) -> AsyncIterator["ImageUpload"]:
        """Receive the next image: write its bytes in the block.

        Raises:
            InvalidArgument: The image is empty, over a limit, or differs from its size or SHA-256.
            Unavailable: The blob store is unavailable, or the upload was removed.
        """
        pending, settings = self._pending, self._pending.storage.settings
        position, began = len(self._images) + 1, time.monotonic()
        key = original_key(pending.order_id, position)
        blob = contextlib.nullcontext() if pending.header.validate_only else pending.storage.blobs.writer(key)
        with missing_blob_as_unavailable():
            async with blob as writer:
                image = ImageUpload(
                    parsed,
                    writer,
                    max_bytes=settings.max_image_bytes,
                    max_order_bytes=settings.max_order_bytes,
                    order_bytes=self._bytes,
                )
                yield image
                image.check()
        self._bytes += image.size
        if pending.header.validate_only:
            return
        sha256, spec = image.sha256.hex(), parsed.spec.to_json() if parsed.spec else None
        self._images.append(
            NewImage(
                id=uuid4(),
                position=position,
                filename=parsed.filename,
                spec=spec,
                size=image.size,
                sha256=sha256,
                queue=queue_for(parsed.spec or pending.header.spec),
            )
        )
        self._paths.append(parsed.filename)
        self._fingerprint.update(json.dumps([parsed.filename, spec, sha256]).encode())
        if self._images[-1].queue is ImageQueue.BLUR and time.monotonic() - began >= SLOW_SECONDS:
            self._head_starts.offer(pending.order_id, position, spec or self._order_spec)

    def add_source(self, parsed: ParsedImage) -> None:
        """Add an image that is fetched later.

        Raises:
            InvalidArgument: Its source is not allowed, or the order is too large.
            PermissionDenied: The caller may not use it.
        """
        source = parsed.source
        assert source
        self._pending.storage.external_access.check_source(source, parsed.field, self._pending.header.target)
        spec = parsed.spec.to_json() if parsed.spec else None
        self._add_source(parsed, source, source.size or 0, parsed.filename)
        self._fingerprint.update(json.dumps([parsed.filename, spec, source.to_json()]).encode())

    def add_listings(self, listings: Sequence[ParsedListing], found: Sequence[ListedImage]) -> None:
        """Add the images that listings have found. A repeated request need not find the same.

        Raises:
            InvalidArgument: The order is too large.
        """
        for listed in found:
            assert listed.image.source
            self._add_source(listed.image, listed.image.source, listed.size, listed.path)
        for listing in listings:
            self._fingerprint.update(json.dumps([listing.place, listing.folder, listing.pattern]).encode())

    def _add_source(self, parsed: ParsedImage, source: ImageSource, size: int, path: str) -> None:
        self._bytes += size
        check_order_bytes(self._bytes, self._pending.storage.settings.max_order_bytes)
        if self._pending.header.validate_only:
            return
        self._images.append(
            NewImage(
                id=uuid4(),
                position=len(self._images) + 1,
                filename=parsed.filename,
                spec=parsed.spec.to_json() if parsed.spec else None,
                size=size,
                queue=ImageQueue.FETCH,
                source=source.to_json(),
            )
        )
        self._paths.append(path)

    async def commit(self) -> Snapshot | None:
        """Accept the order; return it, or the first one if this request is a repeat, or None if only validated.

        Raises:
            As PendingOrder.commit.
        """
        if self._pending.header.validate_only:
            return None
        self._pending.committing = True
        images = with_targets(self._images, self._pending.header, self._paths)
        accepted = await self._threads.run_to_end(self._pending.commit, images, self._fingerprint.hexdigest())
        order_id = self._pending.order_id
        self._head_starts.end(order_id, committed=accepted.order.id == order_id)
        return accepted


class ImageUpload:
    """The bytes of one image.

    Args:
        parsed: The image's description; size and SHA-256 are verified if the client sent them.
        writer: Writes the original; None if it is not stored.
        max_bytes: Limit of the image's size.
        max_order_bytes: Limit of the order's size.
        order_bytes: Size of the order's previous images.
    """

    def __init__(
        self, parsed: ParsedImage, writer: BlobWriter | None, *, max_bytes: int, max_order_bytes: int, order_bytes: int
    ) -> None:
        self._parsed = parsed
        self._writer = writer
        self._max_bytes = max_bytes
        self._max_order_bytes = max_order_bytes
        self._order_bytes = order_bytes
        self._hash = hashlib.sha256()
        self.size = 0
        """Bytes received."""

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the bytes received."""
        return self._hash.digest()

    async def write(self, data: bytes) -> None:
        """Receive the next bytes.

        Raises:
            InvalidArgument: The image or the order is too large.
        """
        self.size += len(data)
        check_image_bytes(self.size, self._max_bytes, f"{self._parsed.field}.data")
        check_order_bytes(self._order_bytes + self.size, self._max_order_bytes)
        # In pieces: the writer copies what it gets at once, and other calls would have to wait.
        for begin in range(0, len(data), CHUNK):
            piece = data[begin : begin + CHUNK]
            self._hash.update(piece)
            if self._writer:
                await self._writer.write(piece)

    def check(self) -> None:
        """Verify the received bytes.

        Raises:
            InvalidArgument: There are none, or they differ from the size or the SHA-256 that the client sent.
        """
        field, size, sha256 = self._parsed.field, self._parsed.size, self._parsed.sha256
        if not self.size:
            raise InvalidArgument(Violation(f"{field}.data", "is empty"))
        if size is not None and size != self.size:
            message = f"is {size}, but {self.size} bytes were received"
            raise InvalidArgument(Violation(f"{field}.size_bytes", message))
        if sha256 is not None and sha256 != self.sha256:
            raise InvalidArgument(Violation(f"{field}.sha256", "does not match the bytes received"))


def _canonical(header: ParsedHeader) -> bytes:
    values: list[object] = [header.email, header.spec.to_json(), header.locale, header.notify]
    # As gateways of the version before compute it, for orders that these can accept, too.
    values += [header.originals_seconds] * bool(header.originals_seconds)
    values += [{"webhook": header.webhook_url}] * bool(header.webhook_url)
    if header.target:
        values += [{"place": header.target.place, "folder": header.target.folder}]
    return json.dumps(values).encode()
