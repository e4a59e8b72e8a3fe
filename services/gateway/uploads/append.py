"""AppendUpload: one call that sends bytes. The last call that begins may append; the one before has to stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.orders import blob_cleanup, orders, uploads
from services.common.db.orders.uploads import Progress
from services.common.domain.errors import (
    FailedPrecondition,
    ImageBlurError,
    InvalidArgument,
    NotFound,
    Unavailable,
    Violation,
)
from services.common.domain.orders import ImageQueue, queue_for, upload_prefix
from services.common.infra import log
from services.common.infra.blobs import MissingBlob
from services.common.infra.blobs.writer import uninterrupted
from services.common.infra.head_starts import HeadStarts
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.rpc.fields import parse_id
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.uploads.creation import UploadProgress
from services.gateway.uploads.reading import UploadReader
from services.gateway.uploads.receiver import PART_BYTES, UploadReceiver, parts_from_json, parts_to_json
from services.gateway.uploads.requests import ParsedUpload

CHECK_SECONDS = 10
"""How often a call that waits for bytes checks that no later one has taken over."""
MIN_BROKEN_BYTES = 256 << 10
"""What has arrived of an image when a call breaks is kept if it is at least so much: fewer parts are faster."""

_log = log.get(__name__)


@dataclass(frozen=True)
class AppendUpload:
    """Receives the bytes of uploads."""

    storage: OrderStorage
    reader: UploadReader
    threads: ThreadPool
    head_starts: HeadStarts
    max_chunk_bytes: int

    async def __call__(self, parts: AsyncIterator[pb.AppendUploadRequest]) -> UUID:
        """Append the bytes of a call; return the ID of the upload.

        Raises:
            InvalidArgument: A part is malformed, or the bytes do not fit the upload.
            NotFound: There is no such upload.
            FailedPrecondition: The offset is another one, or a later call has taken over.
            Unavailable: A dependency is unavailable, or a disk is almost full.
        """
        part = await anext(parts, None)
        if part is None or part.WhichOneof("part") != "start":
            raise InvalidArgument(Violation("start", "must come first"))
        upload_id, offset = parse_id(part.start.upload_id, "start.upload_id"), part.start.offset
        call = await self.threads.run_to_end(self._begin, upload_id, offset)
        watching = asyncio.create_task(call.watch())
        try:
            await self._receive(parts, call)
        except InvalidArgument:
            # The bytes are wrong, and those before are not.
            await asyncio.shield(call.record())
            raise
        except MissingBlob:
            raise _superseded(upload_id) from None
        except (FailedPrecondition, NotFound):
            raise
        except BaseException:
            await asyncio.shield(call.keep_what_arrived())
            raise
        finally:
            watching.cancel()
        return upload_id

    async def _receive(self, parts: AsyncIterator[pb.AppendUploadRequest], call: "AppendCall") -> None:
        async for part in parts:
            if part.WhichOneof("part") != "chunk":
                raise InvalidArgument(Violation(part.WhichOneof("part") or "part", "was not expected"))
            if len(part.chunk) > self.max_chunk_bytes:
                raise InvalidArgument(Violation("chunk", f"is larger than {self.max_chunk_bytes} bytes"))
            # A call that is cancelled in the middle would leave an image that is neither whole nor in parts.
            await uninterrupted(call.take(part.chunk))
        await uninterrupted(call.finish())

    def _begin(self, upload_id: UUID, offset: int) -> "AppendCall":
        storage, owner = self.storage, uuid4()
        storage.disk_space.check()
        if (state := self.reader.get(upload_id)).expires_at is None:
            raise _other_offset(state)
        try:
            manifest = self.reader.manifest(upload_id)
        except NotFound:
            raise _other_offset(self.reader.get(upload_id)) from None  # its order was placed just now
        with storage.database.write(durable=False) as session:
            claimed = uploads.claim(session, upload_id, offset=offset, owner=owner)
            upload = uploads.get_upload(session, upload_id)
        if upload is None:
            raise NotFound("upload", str(upload_id))
        if not claimed:
            raise _other_offset(UploadProgress.of(upload))
        receiver = UploadReceiver(
            upload_id,
            manifest.images,
            offset=offset,
            parts=parts_from_json(upload.parts),
            owner=owner.hex[:12],
            blobs=storage.blobs,
            threads=self.threads,
        )
        return AppendCall(upload_id, owner, receiver, manifest, storage, self.threads, self.head_starts, offset)


@dataclass
class AppendCall:
    """One call, and what is recorded of it."""

    upload_id: UUID
    owner: UUID
    receiver: UploadReceiver
    manifest: ParsedUpload
    storage: OrderStorage
    threads: ThreadPool
    head_starts: HeadStarts
    recorded: int
    """The offset in the database."""
    superseded: bool = False
    """Set when a check finds that a later call has taken over, or that the upload was deleted."""
    unsynced: bool = False
    """Set when the disk has reported an error: it does so once, and then takes what it has lost for written."""

    async def take(self, chunk: bytes) -> None:
        """Receive a chunk.

        Raises:
            As `UploadReceiver.write` and `record`.
        """
        await self.receiver.write(chunk)
        if self.receiver.offset - self.recorded >= PART_BYTES or self.superseded:
            await self.record()

    async def finish(self) -> None:
        """Store and record everything at the end of the call.

        Raises:
            As `UploadReceiver.store_part` and `record`.
        """
        await self.receiver.store_part()
        await self.record()

    async def record(self) -> None:
        """Record what is stored.

        Raises:
            FailedPrecondition: A later call has taken over.
            NotFound: The upload was deleted.
            Unavailable: The database or the blob store is unavailable, or a disk is almost full.
        """
        receiver = self.receiver
        if receiver.offset == self.recorded and not receiver.old_keys and not self.superseded:
            return
        await self.threads.run_to_end(self._record)
        self.recorded = receiver.offset
        # Not before: the database refers to them until then.
        with contextlib.suppress(ImageBlurError):
            await self.threads.run_to_end(self.storage.blobs.delete, *receiver.old_keys)
        # Not before they are recorded: until then another call could replace them.
        for position in receiver.sha256_by_position:
            self._offer(position)
        receiver.old_keys, receiver.new_keys, receiver.sha256_by_position = [], [], {}

    def _offer(self, position: int) -> None:
        spec = self.manifest.images[position - 1].spec or self.manifest.header.spec
        if queue_for(spec) is ImageQueue.BLUR:
            self.head_starts.offer(self.upload_id, position, spec.to_json())

    async def keep_what_arrived(self) -> None:
        """Record what has arrived before the call broke, as far as possible."""
        if self.unsynced:
            return
        try:
            if self.receiver.waiting >= MIN_BROKEN_BYTES:
                await self.receiver.store_part()
            await self.record()
        except ImageBlurError as error:
            _log.info("bytes of an upload not kept", upload=str(self.upload_id), error=str(error))

    async def watch(self) -> None:
        """Check from time to time that the call may go on; a slow one would notice only much later."""
        while not self.superseded:
            await asyncio.sleep(CHECK_SECONDS)
            with contextlib.suppress(ImageBlurError):
                self.superseded = not await self.threads.run(self._is_claimed)

    def _is_claimed(self) -> bool:
        with self.storage.database.read() as session:
            return uploads.is_claimed(session, self.upload_id, owner=self.owner)

    def _record(self) -> None:
        storage, receiver = self.storage, self.receiver
        try:
            storage.blobs.persist(*receiver.new_keys)
        except MissingBlob:
            raise self._ended() from None
        except Unavailable:
            self.unsynced = True
            raise
        storage.disk_space.check()
        progress = Progress(
            received=receiver.offset,
            parts=parts_to_json(receiver.parts),
            sha256_by_position=receiver.sha256_by_position,
        )
        with storage.database.write() as session:
            advanced = uploads.advance(
                session, self.upload_id, progress, owner=self.owner, seconds=storage.settings.upload_seconds
            )
        if not advanced:
            raise self._ended()

    def _ended(self) -> FailedPrecondition | NotFound:
        """Return why this call has to stop, and remove what it has stored if nobody can refer to it.

        A later call stores images under the same keys, and an order may have been placed with them.
        """
        new_keys = self.receiver.new_keys
        with self.storage.database.read() as session:
            receiving = uploads.get_upload(session, self.upload_id) is not None
            placed = orders.owns_blobs(session, self.upload_id)
            surplus = set(blob_cleanup.list_surplus_keys(session, self.upload_id))
        if receiving:
            return _superseded(self.upload_id)
        if placed:
            parts = upload_prefix(self.upload_id)
            new_keys = [key for key in new_keys if key in surplus or key.startswith(parts)]
        with contextlib.suppress(ImageBlurError):
            self.storage.blobs.delete(*new_keys)
        return _superseded(self.upload_id) if placed else NotFound("upload", str(self.upload_id))


def _superseded(upload_id: UUID) -> FailedPrecondition:
    message = "a later call appends to the upload, or it was deleted: this call has to stop"
    return FailedPrecondition("UPLOAD_SUPERSEDED", f"uploads/{upload_id}", message)


def _other_offset(upload: UploadProgress) -> FailedPrecondition:
    if upload.expires_at is None:
        message = "the upload is complete, and its order is placed"
    else:
        message = f"{upload.received:,} bytes of the upload are stored: go on from there"
    return FailedPrecondition("UPLOAD_OFFSET", f"uploads/{upload.id}", message)
