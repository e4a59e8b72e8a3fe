"""GetUpload: an upload as it is, and what is to be done with its images."""

from dataclasses import dataclass
from uuid import UUID

from services.common.domain.errors import NotFound
from services.common.domain.orders import manifest_key
from services.common.infra.blobs import MissingBlob
from services.gateway.orders.pending_order import OrderStorage
from services.gateway.uploads.creation import UploadState, find_upload
from services.gateway.uploads.requests import ParsedUpload, read_manifest


@dataclass(frozen=True)
class UploadReader:
    """Reads uploads; blocking."""

    storage: OrderStorage

    def get(self, upload_id: UUID) -> UploadState:
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
