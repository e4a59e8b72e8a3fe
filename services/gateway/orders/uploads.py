"""An order being taken in: its blobs are written as they come, and owned by nobody until the order is committed."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.orders import idempotency, orders, unowned_blobs
from services.common.db.orders.orders import NewImage, NewOrder, Snapshot
from services.common.db.queues import backlog
from services.common.domain.errors import InvalidArgument, Unavailable, Violation
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import blob_prefix, source_key
from services.common.domain.spec import BlurSpec
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.common.use_cases.after_commit import AfterCommit
from services.gateway import metrics
from services.gateway.orders.image_upload import ImageUpload
from services.gateway.orders.readiness import Asked, Readiness
from services.gateway.orders.requests import Header
from services.gateway.rpc.callers import counted_as
from services.gateway.rpc.thread_pool import Offload
from services.gateway.settings import GatewaySettings

HEARTBEAT_SECONDS = 10

_log = log.get(__name__)


@dataclass(frozen=True)
class Intake:
    """What taking in an order needs."""

    settings: GatewaySettings
    database: Database
    blobs: BlobStore
    broker: Broker
    offload: Offload
    readiness: Readiness


class Upload:
    """One order on its way in."""

    def __init__(self, intake: Intake, principal: str, method: str, header: Header, *, dry_run: bool) -> None:
        self._intake = intake
        self._principal = principal
        self._method = method
        self._header = header
        self._dry_run = dry_run
        self._order_id = uuid4()
        self._began = time.monotonic()
        self._images: list[NewImage] = []
        self._bytes = 0
        self._fingerprint = hashlib.sha256(_canonical(header))
        self._begun = self._committing = self._given_up = False

    @asynccontextmanager
    async def image(
        self, filename: str, spec: BlurSpec | None, *, field: str, size: int | None = None, sha256: bytes | None = None
    ) -> AsyncIterator[ImageUpload]:
        """Take in the next image; `field` is its name in errors, `size` and `sha256` what the client announced."""
        limits = self._intake.settings
        position = len(self._images) + 1
        if position > limits.largest_order:
            raise InvalidArgument(Violation("images", f"are more than {limits.largest_order}"))
        key = source_key(self._order_id, position)
        writing = contextlib.nullcontext() if self._dry_run else self._intake.blobs.writer(key)
        with _never_missing():
            async with writing as writer:
                image = ImageUpload(field, writer, limits.max_image_bytes, self._count)
                yield image
                image.check(size, sha256)
        spec_json = spec.to_json() if spec else None
        self._images.append(
            NewImage(
                id=uuid4(),
                position=position,
                filename=filename,
                spec=spec_json,
                size=image.size,
                sha256=image.sha256.hex(),
            )
        )
        self._fingerprint.update(json.dumps([filename, spec_json, image.sha256.hex()]).encode())

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._intake.settings.max_order_bytes:
            raise InvalidArgument(
                Violation("images", f"are larger than {self._intake.settings.max_order_bytes} bytes together")
            )

    async def keep_alive(self) -> None:
        """Tell the sweep that this upload goes on, however slowly, for as long as it does."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._intake.offload(self._heartbeat)
            except Unavailable as error:
                _log.warning("no heartbeat of an upload", error=str(error))
            except Exception:
                _log.exception("no heartbeat of an upload")

    async def begin(self, count: int) -> None:
        """See whether the order can be taken in; and a row, before its first blob, that leads to all of them.

        Raises:
            Unavailable: Something that it needs is away, or the disk is almost full.
            Busy: The queue is full.
        """
        asked = Asked(count, self._principal, self._method, self._header.request_id, counted_as())
        await self._intake.readiness.order(asked, None if self._dry_run else self._begin)

    async def commit(self) -> Snapshot | None:
        """Accept the order, or find the first one if this is a repeat; None if it was only to be checked."""
        if not self._images:
            raise InvalidArgument(Violation("images", "must be at least one"))
        if self._dry_run:
            return None
        self._committing = True
        return await self._intake.offload.to_its_end(self._commit)

    async def abandon(self) -> None:
        """Leave nothing behind. What cannot be removed now, the sweep removes."""
        self._given_up = True
        if self._begun:
            # Shielded: a client that has gone cancels its call, and must not cancel its clean-up.
            await asyncio.shield(self._intake.offload.to_its_end(self._abandon))

    def _commit(self) -> Snapshot:
        intake, header = self._intake, self._header
        with _never_missing():
            intake.blobs.persist(*(source_key(self._order_id, image.position) for image in self._images))
        order = NewOrder(
            id=self._order_id,
            principal=self._principal,
            email=header.email,
            locale=header.locale,
            spec=header.spec.to_json(),
            notify=header.notify,
            retention=int(intake.settings.retention_days * 86_400),
            upload_seconds=time.monotonic() - self._began,
        )
        with intake.database.write() as session:
            if header.request_id:
                request = idempotency.IdempotentRequest(
                    principal=self._principal,
                    method=self._method,
                    request_id=header.request_id,
                    fingerprint=self._fingerprint.hexdigest(),
                )
                if earlier := idempotency.insert_answer(session, request, self._order_id):
                    unowned_blobs.mark_upload_failed(session, self._order_id)
                    return orders.get_snapshot(session, earlier)
            if not unowned_blobs.adopt_blobs(session, self._order_id):
                raise Unavailable("the upload took too long")
            stored = orders.insert_order(session, order, self._images, window=intake.settings.order_window)
            # Last: who adds to the backlog waits here for who did before, and should not wait for long.
            backlog.lock_backlog(session)
            intake.readiness.queue(session, 0)
        after_commit = AfterCommit(database=intake.database, broker=intake.broker, window=intake.settings.order_window)
        after_commit(FollowUp(image_ids=stored.enqueued_ids))
        metrics.order_accepted(len(self._images), self._bytes)
        return stored.snapshot

    def _abandon(self) -> None:
        try:
            if not self._committing:
                # Nobody owns them yet, for sure. On a full disk they have to go first: the database needs their room.
                self._intake.blobs.delete_prefix(blob_prefix(self._order_id))
            with self._intake.database.write() as session:
                abandoned = unowned_blobs.mark_upload_failed(session, self._order_id)
            # A call may be cancelled, or fail, after its commit: then the blobs are the order's, and stay.
            if abandoned:
                self._intake.blobs.delete_prefix(blob_prefix(self._order_id))
                with self._intake.database.write() as session:
                    unowned_blobs.delete_upload(session, self._order_id)
        except Unavailable as error:
            _log.warning("upload not cleaned up yet, the sweep will", error=str(error))

    def _begin(self, session: Session) -> None:
        if self._given_up:
            raise Unavailable("the database answered too late")
        unowned_blobs.insert_upload(session, self._order_id)
        self._begun = True

    def _heartbeat(self) -> None:
        with self._intake.database.write(durable=False) as session:
            unowned_blobs.renew_upload(session, self._order_id)


@asynccontextmanager
async def receiving(intake: Intake, principal: str, method: str, header: Header, count: int) -> AsyncIterator[Upload]:
    """An upload of so many images that leaves nothing behind unless it is committed before the block ends."""
    upload = Upload(intake, principal, method, header, dry_run=header.validate_only)
    heart = None if header.validate_only else asyncio.create_task(upload.keep_alive())
    try:
        await upload.begin(count)
        yield upload
    except BaseException:
        await upload.abandon()
        raise
    finally:
        if heart:
            heart.cancel()


@contextmanager
def _never_missing() -> Iterator[None]:
    """What is being written can only be missing if somebody has removed it: the sweep, or a hand on the folder."""
    try:
        yield
    except MissingBlob:
        raise Unavailable("the upload was given up before it was complete") from None


def _canonical(header: Header) -> bytes:
    return json.dumps([header.email, header.spec.to_json(), header.locale, header.notify]).encode()
