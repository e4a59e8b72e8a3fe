"""Statements about uploads that can be resumed.

An upload owns its blobs, as an order does: a deletion of its row marks them for removal in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Image, Order, Upload, UploadImage
from services.common.db.rows import changed_one
from services.common.domain.orders import UploadState

_LOCK = 7_021_995
"""Key of the advisory lock, arbitrary but used for nothing else."""
PLACED_SECONDS = 60
"""After so long the sweep removes what a gateway has left of an upload whose order is stored."""


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """What an upload has from the beginning."""

    id: UUID
    principal: str
    caller_hash: str
    mailbox: str | None
    image_count: int
    size: int
    """In bytes."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an upload has come; `sha256_by_position` has the images that were received since the progress before."""

    received: int
    parts: str
    sha256_by_position: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """How much is being uploaded."""

    count: int
    bytes: int


def insert_upload(session: Session, upload: NewUpload, *, seconds: float) -> Upload:
    """Store an upload, which expires so many seconds after its last byte."""
    time = session.scalar(select(now())) or 0
    row = Upload(
        id=upload.id,
        state=UploadState.RECEIVING,
        principal=upload.principal,
        caller_hash=upload.caller_hash,
        mailbox=upload.mailbox,
        created_at=time,
        expires_at=time + int(seconds * SECOND),
        image_count=upload.image_count,
        size=upload.size,
    )
    session.add(row)
    session.flush()
    return row


def get_upload(session: Session, upload_id: UUID) -> Upload | None:
    """Return an upload that is not placed; None if there is none."""
    return session.scalar(select(Upload).where(Upload.id == upload_id, Upload.state == UploadState.RECEIVING))


def get_order_size(session: Session, upload_id: UUID) -> tuple[int, int] | None:
    """Return the number of images and of bytes of the order that an upload became; None if there is none."""
    count = session.scalar(select(Order.total).where(Order.id == upload_id))
    if count is None:
        return None
    return count, int(session.scalar(select(func.sum(Image.input_bytes)).where(Image.order_id == upload_id)) or 0)


def count_unfinished(session: Session, caller_hash: str | None = None) -> Unfinished:
    """Count the uploads of one caller, or of all, by the bytes that they will have."""
    counted = select(func.count(), func.coalesce(func.sum(Upload.size), 0)).where(
        Upload.state == UploadState.RECEIVING, *([Upload.caller_hash == caller_hash] if caller_hash is not None else [])
    )
    count, size = session.execute(counted).one()
    return Unfinished(count=count, bytes=int(size))


def lock_creation(session: Session) -> None:
    """Wait until no other transaction creates an upload: two at once would not count each other.

    SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def claim(session: Session, upload_id: UUID, *, offset: int, owner: UUID) -> bool:
    """Let a call append from an offset; the call before loses its claim. False if the offset is another one."""
    claimed = update(Upload).where(_receiving(upload_id), Upload.received == offset).values(owner=owner)
    return changed_one(session.execute(claimed))


def is_claimed(session: Session, upload_id: UUID, *, owner: UUID) -> bool:
    """Return whether a call still has its claim."""
    return session.scalar(select(Upload.id).where(_receiving(upload_id), Upload.owner == owner)) is not None


def advance(session: Session, upload_id: UUID, progress: Progress, *, owner: UUID, seconds: float) -> bool:
    """Record what a call has stored; False if it has lost its claim, or the upload was deleted."""
    advanced = (
        update(Upload)
        .where(_receiving(upload_id), Upload.owner == owner)
        .values(received=progress.received, parts=progress.parts, expires_at=now() + int(seconds * SECOND))
    )
    if not changed_one(session.execute(advanced)):
        return False
    if progress.sha256_by_position:
        # Those of a commit whose answer was lost are there already.
        first = min(progress.sha256_by_position)
        session.execute(delete(UploadImage).where(UploadImage.upload_id == upload_id, UploadImage.position >= first))
        session.execute(
            insert(UploadImage),
            [
                {"upload_id": upload_id, "position": position, "sha256": sha256}
                for position, sha256 in progress.sha256_by_position.items()
            ],
        )
    return True


def get_sha256(session: Session, upload_id: UUID) -> dict[int, str]:
    """Return the SHA-256, as hex, of each image that was received whole, by position."""
    found = select(UploadImage.position, UploadImage.sha256).where(UploadImage.upload_id == upload_id)
    return {row.position: row.sha256 for row in session.execute(found)}


def mark_placed(session: Session, upload_id: UUID) -> bool:
    """Hand the blobs over to the order that this transaction stores; False if it was placed before, or deleted."""
    placed = (
        update(Upload)
        .where(_receiving(upload_id), Upload.received == Upload.size)
        .values(state=UploadState.PLACED, expires_at=now() + PLACED_SECONDS * SECOND, owner=None)
    )
    return changed_one(session.execute(placed))


def get_placed(session: Session, upload_id: UUID) -> tuple[Upload, int]:
    """Return an upload that this transaction has marked as placed, and its age in microseconds."""
    upload, time = session.execute(select(Upload, now()).where(Upload.id == upload_id)).one()
    return upload, time - upload.created_at


def delete_upload(session: Session, upload_id: UUID) -> bool:
    """Delete an upload that is not placed; False if there is none."""
    return changed_one(session.execute(delete(Upload).where(_receiving(upload_id))))


def delete_placed(session: Session, upload_id: UUID) -> None:
    """Delete the row of an upload whose order is stored."""
    session.execute(delete(Upload).where(Upload.id == upload_id, Upload.state == UploadState.PLACED))


def list_expired(session: Session, *, limit: int) -> Sequence[tuple[UUID, UploadState]]:
    """Return uploads whose time is over: to be deleted, or of which something is left to remove."""
    expired = select(Upload.id, Upload.state).where(Upload.expires_at <= now()).order_by(Upload.expires_at).limit(limit)
    return [(upload_id, UploadState(state)) for upload_id, state in session.execute(expired)]


def list_of_mailbox(session: Session, mailboxes: Sequence[str]) -> Sequence[UUID]:
    """Return the uploads for a mailbox, by hashes of it."""
    found = select(Upload.id).where(Upload.mailbox.in_(mailboxes), text("mailbox IS NOT NULL"))
    return session.scalars(found).all()


def _receiving(upload_id: UUID) -> ColumnElement[bool]:
    return (Upload.id == upload_id) & (Upload.state == UploadState.RECEIVING)
