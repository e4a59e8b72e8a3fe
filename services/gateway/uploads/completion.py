"""CompleteUpload: stores the order of an upload that has all its bytes."""

import contextlib
from dataclasses import dataclass
from uuid import UUID, uuid4

from services.common.db.clock import SECOND
from services.common.db.orders import snapshots, uploads
from services.common.db.orders.new_orders import NewImage
from services.common.db.orders.snapshots import Snapshot
from services.common.domain.errors import FailedPrecondition, NotFound, Unavailable
from services.common.domain.orders import queue_for, upload_prefix
from services.common.infra import log
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.orders.placement.targets import with_targets
from services.gateway.uploads.reading import UploadReader
from services.gateway.uploads.requests import ParsedUpload

_log = log.get(__name__)


@dataclass(frozen=True)
class CompleteUpload:
    """Places the orders of uploads; blocking. The originals are there: nothing is copied."""

    storage: OrderStorage
    reader: UploadReader

    def __call__(self, upload_id: UUID) -> Snapshot:
        """Store the order of an upload, and enqueue its first images; return the order if it is stored already.

        Raises:
            NotFound: There is no such upload.
            FailedPrecondition: Bytes are missing.
            ResourceExhausted: The queue is full; the upload is kept.
            Unavailable: A dependency is unavailable; the upload is kept.
        """
        storage = self.storage
        if placed := self._find_order(upload_id):
            return placed
        try:
            manifest = self.reader.manifest(upload_id)
        except NotFound:
            return self._not_placed(upload_id)  # or placed by another call just now, which has removed the manifest
        storage.disk_space.check()
        with storage.database.write() as session:
            # First, so that of two calls at once the second waits here, and then finds the order.
            placed_now = uploads.mark_placed(session, upload_id)
            if placed_now:
                upload, age = uploads.get_placed(session, upload_id)
                new = _new_images(manifest, uploads.get_sha256(session, upload_id))
                images = with_targets(new, manifest.header, [image.filename for image in manifest.images])
                order = storage.new_order(
                    manifest.header, order_id=upload_id, principal=upload.principal, upload_seconds=age / SECOND
                )
                stored = storage.insert(session, order, images)
        if not placed_now:
            return self._not_placed(upload_id)
        snapshot = storage.enqueue_first(stored, images)
        self._clean_up(upload_id)
        return snapshot

    def _find_order(self, upload_id: UUID) -> Snapshot | None:
        with self.storage.database.read() as session, contextlib.suppress(NotFound):
            return snapshots.get_snapshot(session, upload_id)
        return None

    def _not_placed(self, upload_id: UUID) -> Snapshot:
        if placed := self._find_order(upload_id):
            return placed
        with self.storage.database.read() as session:
            upload = uploads.get_upload(session, upload_id)
        if upload is None:
            raise NotFound("upload", str(upload_id))
        message = f"{upload.size - upload.received:,} of {upload.size:,} bytes are missing: append them first"
        raise FailedPrecondition("UPLOAD_INCOMPLETE", f"uploads/{upload_id}", message)

    def _clean_up(self, upload_id: UUID) -> None:
        try:
            self.storage.blobs.delete_prefix(upload_prefix(upload_id))
            with self.storage.database.write(durable=False) as session:
                uploads.delete_placed(session, upload_id)
        except Unavailable as error:
            _log.warning("left of an upload, the sweep will remove it", order=str(upload_id), error=str(error))


def _new_images(manifest: ParsedUpload, sha256: dict[int, str]) -> list[NewImage]:
    return [
        NewImage(
            id=uuid4(),
            position=position,
            filename=image.filename,
            spec=image.spec.to_json() if image.spec else None,
            size=image.size or 0,
            sha256=sha256[position],
            queue=queue_for(image.spec or manifest.header.spec),
        )
        for position, image in enumerate(manifest.images, 1)
    ]
