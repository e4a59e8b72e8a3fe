"""GetUpload: an upload as it is, and what is to be done with its images."""

from dataclasses import dataclass
from uuid import UUID

from services.common.domain.errors import FailedPrecondition, NotFound
from services.common.domain.orders import manifest_key, original_key
from services.common.infra.blobs import MissingBlob
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.uploads.creation import UploadProgress, find_upload
from services.gateway.uploads.requests import ParsedUpload, read_manifest


@dataclass(frozen=True)
class UploadReader:
    """Reads uploads; blocking."""

    storage: OrderStorage

    def get(self, upload_id: UUID) -> UploadProgress:
        """Return an upload; after its completion, too, as long as there is its order.

        Raises:
            NotFound: There is none.
            Unavailable: The database is unavailable.
        """
        with self.storage.database.read() as session:
            found = find_upload(session, upload_id)
        if found is None:
            raise NotFound("upload", str(upload_id))
        return found

    def first_image(self, upload_id: UUID) -> str:
        """Return the key of the blob that is the first image of an upload that is not completed.

        Raises:
            NotFound: There is no such upload.
            FailedPrecondition: Bytes of the image are missing, or the order is placed.
            Unavailable: The database or the blob store is unavailable.
        """
        state, subject = self.get(upload_id), f"uploads/{upload_id}"
        if state.expires_at is None:
            raise FailedPrecondition("UPLOAD_COMPLETED", subject, "the order of the upload is placed")
        size = self.manifest(upload_id).images[0].size or 0
        if state.received < size:
            message = f"{size - state.received} bytes of the image are missing"
            raise FailedPrecondition("UPLOAD_INCOMPLETE", subject, message)
        return original_key(upload_id, 1)

    def manifest(self, upload_id: UUID) -> ParsedUpload:
        """Return what an upload that is not completed is about.

        Raises:
            NotFound: There is none.
            Unavailable: The blob store is unavailable.
        """
        try:
            return read_manifest(self.storage.blobs.get(manifest_key(upload_id)), self.storage.settings)
        except MissingBlob:
            raise NotFound("upload", str(upload_id)) from None
