"""CreateUpload: checks that an order can be accepted, and stores what is to be done with its images."""

import contextlib
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from services.common.db.models import Upload
from services.common.db.orders import idempotency, unowned_blobs, uploads
from services.common.db.orders.uploads import NewUpload
from services.common.domain.errors import ResourceExhausted, Unavailable
from services.common.domain.orders import blob_prefix, manifest_key
from services.gateway.orders.placement.pending_order import OrderStorage, check_queue
from services.gateway.settings import GIB
from services.gateway.uploads.requests import ParsedUpload

METHOD = "CreateUpload"
RETRY_SECONDS = 60.0
"""RetryInfo if there are too many uploads."""


@dataclass(frozen=True, kw_only=True)
class UploadProgress:
    """An upload at one moment."""

    id: UUID
    size: int
    received: int
    image_count: int
    expires_at: int | None
    """None once its order is placed."""

    @classmethod
    def of(cls, upload: Upload) -> "UploadProgress":
        """Return that of a row."""
        return cls(
            id=upload.id,
            size=upload.size,
            received=upload.received,
            image_count=upload.image_count,
            expires_at=upload.expires_at,
        )


def find_upload(session: Session, upload_id: UUID) -> UploadProgress | None:
    """Return an upload, also if its order is placed; None if there is none."""
    if upload := uploads.get_upload(session, upload_id):
        return UploadProgress.of(upload)
    if placed := uploads.get_order_size(session, upload_id):
        count, size = placed
        return UploadProgress(id=upload_id, size=size, received=size, image_count=count, expires_at=None)
    return None


@dataclass(frozen=True)
class CreateUpload:
    """Creates uploads; blocking."""

    storage: OrderStorage

    def __call__(self, upload: ParsedUpload, *, principal: str, rate_limit_key: str) -> UploadProgress:
        """Store an upload, or return the one of the same request.

        Args:
            upload: What to upload.
            principal: Identity of the caller.
            rate_limit_key: What limits count the caller by.

        Raises:
            InvalidArgument: The request ID was used for a different upload.
            ResourceExhausted: The queue is full, or there are too many unfinished uploads.
            Unavailable: A dependency is unavailable, or a disk is almost full.
        """
        storage = self.storage
        storage.blobs.ping()
        storage.disk_space.check(upload.size)
        request = self._request(upload, principal)
        with storage.database.read() as session:
            if earlier := self._find_earlier(session, request):
                return earlier
            check_queue(session, storage.settings, len(upload.images))
        upload_id = uuid4()
        with storage.database.write() as session:
            unowned_blobs.insert_upload(session, upload_id)
        try:
            storage.blobs.put(manifest_key(upload_id), upload.manifest)
            storage.blobs.persist(manifest_key(upload_id))
            state = self._insert(
                upload_id, upload, request, principal=principal, caller_hash=self._hash(rate_limit_key)
            )
        except BaseException:
            self._remove(upload_id)
            raise
        if state.id != upload_id:
            self._remove(upload_id)
        return state

    def recipient_is_unconfirmed(self, upload: ParsedUpload, principal: str) -> bool:
        """Return whether an e-mail is wanted to an address that has not confirmed.

        Raises:
            Unavailable: The database is unavailable.
        """
        if not (upload.header.notify and upload.header.email):
            return False
        with self.storage.database.read() as session:
            return not self.storage.recipients.may_get_results(
                session, address=upload.header.email, principal=principal
            )

    def _request(self, upload: ParsedUpload, principal: str) -> idempotency.IdempotentRequest | None:
        if upload.header.request_id is None:
            return None
        return idempotency.IdempotentRequest(
            principal=principal, method=METHOD, request_id=upload.header.request_id, fingerprint=upload.fingerprint
        )

    def _find_earlier(self, session: Session, request: idempotency.IdempotentRequest | None) -> UploadProgress | None:
        earlier = request and idempotency.get_answer(session, request)
        if not earlier:
            return None
        # None if it was deleted, or has expired: it begins anew.
        return find_upload(session, earlier)

    def _insert(
        self,
        upload_id: UUID,
        upload: ParsedUpload,
        request: idempotency.IdempotentRequest | None,
        *,
        principal: str,
        caller_hash: str,
    ) -> UploadProgress:
        storage, settings = self.storage, self.storage.settings
        address = upload.header.email
        with storage.database.write() as session:
            uploads.lock_creation(session)
            if earlier := self._find_earlier(session, request):
                return earlier
            if request:
                idempotency.delete_answer(session, request)
                idempotency.insert_answer(session, request, upload_id)
            self._check_room(session, upload.size, caller_hash)
            if not unowned_blobs.adopt_blobs(session, upload_id):
                raise Unavailable("the database responded too late")
            new = NewUpload(
                id=upload_id,
                principal=principal,
                caller_hash=caller_hash,
                mailbox=storage.recipients.hasher.hash(address) if address else None,
                image_count=len(upload.images),
                size=upload.size,
            )
            return UploadProgress.of(uploads.insert_upload(session, new, seconds=settings.upload_seconds))

    def _check_room(self, session: Session, size: int, caller_hash: str) -> None:
        settings = self.storage.settings
        for whose, unfinished, count, gib in (
            (
                "the caller has",
                uploads.count_unfinished(session, caller_hash),
                settings.max_uploads_per_caller,
                settings.max_upload_gib_per_caller,
            ),
            ("there are", uploads.count_unfinished(session), settings.max_uploads, settings.max_upload_gib),
        ):
            advice = "complete or delete one, or wait until one expires"
            if unfinished.count >= count:
                message = f"{whose} {unfinished.count:,} unfinished uploads, the limit is {count:,}: {advice}"
                raise ResourceExhausted("TOO_MANY_UPLOADS", "unfinished uploads", message, retry_seconds=RETRY_SECONDS)
            if unfinished.bytes + size > gib * GIB:
                message = (
                    f"{whose} unfinished uploads of {unfinished.bytes:,} bytes; with this one it would be more than "
                    f"the limit of {gib:g} GiB: {advice}"
                )
                raise ResourceExhausted(
                    "TOO_MANY_UPLOADS", "bytes of unfinished uploads", message, retry_seconds=RETRY_SECONDS
                )

    def _hash(self, rate_limit_key: str) -> str:
        """Hash what may be a network address: a copy of the database must not reveal it."""
        key = self.storage.settings.signing_keys[0].encode()
        return hmac.new(key, f"imageblur.caller:{rate_limit_key}".encode(), hashlib.sha256).hexdigest()

    def _remove(self, upload_id: UUID) -> None:
        # The sweep removes what cannot be removed now.
        with contextlib.suppress(Unavailable):
            self.storage.blobs.delete_prefix(blob_prefix(upload_id))
            with self.storage.database.write() as session:
                unowned_blobs.delete_upload(session, upload_id)
