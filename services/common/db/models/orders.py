"""Orders, their images, uploads, blobs that no order owns, and idempotency keys."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of, partial_index
from services.common.domain.findings import CheckState
from services.common.domain.orders import ImageQueue, ImageState, OrderState, UnownedBlobsState, UploadState

ORDER_IS_OPEN = text("orders.state IN ('QUEUED', 'RUNNING')")
"""Written as the condition of the index `orders_open`: SQLite takes that for nothing else."""
IMAGE_HAS_SURPLUS_BLOBS = text("NOT images.tidied AND images.finished_at IS NOT NULL")
"""Likewise, of the index `images_not_cleaned_up`: the blobs that an ended image does not keep may still be there."""

IMAGE_IS_FAILURE = text("images.state = 'FAILED' AND NOT images.dropped")
"""Likewise, of the indices `images_failed` and `images_failures`."""


class Order(Base):
    """An accepted order. `revision` grows with every change of it, its images or its deliveries."""

    __tablename__ = "orders"
    __table_args__ = (
        one_of("state", OrderState),
        CheckConstraint("total > 0", name="total"),
        CheckConstraint("succeeded + failed + cancelled <= total", name="counts"),
        partial_index("orders_expiry", "expires_at", where="state <> 'EXPIRED'"),
        partial_index("orders_open", "created_at", where="state IN ('QUEUED', 'RUNNING')"),
        partial_index("orders_email", "email", where="email IS NOT NULL"),
        partial_index("orders_mailbox", "mailbox", where="mailbox IS NOT NULL"),
        partial_index("orders_originals", "originals_until", where="originals_until IS NOT NULL"),
        partial_index("orders_webhook", "finished_at", where="webhook_url IS NOT NULL"),
        Index("orders_created", "created_at", "id"),
        # For lists of operators.
        Index("orders_state", "state", "created_at", "id"),
        Index("orders_principal", "principal", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    principal: Mapped[str]
    email: Mapped[str | None]
    """None if nobody has given one, and once the order has expired."""
    mailbox: Mapped[str | None]
    """The hash of its mailbox, by which e-mails are limited; None as well."""
    email_principal: Mapped[str | None]
    """Who gave the address, if it was given after the order was placed."""
    locale: Mapped[str]
    spec: Mapped[str]
    state: Mapped[str]
    total: Mapped[int]
    input_bytes: Mapped[int | None]
    """Bytes of all originals; estimates for those not fetched yet. None: of the version before, not added up yet."""
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=1)
    upload_began_at: Mapped[int | None]
    """When its first bytes arrived."""
    created_at: Mapped[int]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    expires_at: Mapped[int]
    originals_seconds: Mapped[int] = mapped_column(default=0, server_default="0")
    """How long originals are kept after the first end; 0: not, or no longer."""
    originals_until: Mapped[int | None]
    """When originals that are kept are removed; None before the first end."""
    webhook_url: Mapped[str | None]
    """Where events are posted; None once the order has expired."""


class Image(Base):
    """An image of an order.

    QUEUED with `enqueued_at`: sent to the broker; without: waits for room in the order's window, or for `not_before`.
    RUNNING: `owner` may work on it until `lease_until`.
    """

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        one_of("state", ImageState),
        one_of("queue", ImageQueue),
        one_of("check_state", CheckState),
        CheckConstraint("(state = 'RUNNING') = (owner IS NOT NULL AND lease_until IS NOT NULL)", name="owner"),
        CheckConstraint("state <> 'FAILED' OR reason IS NOT NULL", name="reason"),
        partial_index(
            "images_waiting", "order_id", "queue", "position", where="state = 'QUEUED' AND enqueued_at IS NULL"
        ),
        partial_index("images_outbox", "enqueued_at", where="state = 'QUEUED' AND enqueued_at IS NOT NULL"),
        partial_index("images_leases", "lease_until", where="state = 'RUNNING'"),
        partial_index(
            "images_in_flight", "order_id", where="state = 'RUNNING' OR (state = 'QUEUED' AND enqueued_at IS NOT NULL)"
        ),
        Index("images_revision", "order_id", "revision"),
        partial_index("images_not_cleaned_up", "tidied", "finished_at", where="NOT tidied AND finished_at IS NOT NULL"),
        partial_index("images_finished", "finished_at", where="finished_at IS NOT NULL"),
        partial_index("images_failed", "finished_at", where="state = 'FAILED' AND NOT dropped"),
        partial_index("images_failures", "reason", "queue", where="state = 'FAILED' AND NOT dropped"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    position: Mapped[int]
    filename: Mapped[str]
    spec: Mapped[str | None]
    """None: as the order's."""
    queue: Mapped[str] = mapped_column(default=ImageQueue.BLUR, server_default=ImageQueue.BLUR)
    """Queue of the image, by its spec. Gateways of the version before insert without it."""
    state: Mapped[str]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    owner: Mapped[UUID | None]
    lease_until: Mapped[int | None]
    not_before: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[int | None]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    revision: Mapped[int] = mapped_column(default=1)
    input_bytes: Mapped[int]
    input_sha256: Mapped[str | None]
    output_bytes: Mapped[int] = mapped_column(default=0)
    output_sha256: Mapped[str | None]
    output_crc32: Mapped[str | None]
    """CRC-32 of the result and the first 32 bits of its SHA-256, both as hex; None if not known.

    Workers of the version before store another result and leave this as it is: `result_crc32` notices it.
    """
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    format: Mapped[str | None]
    engine: Mapped[str | None]
    """What blurred it, with its version."""
    findings: Mapped[str | None]
    """What was found and the check of the result, as JSON (`Inspection`); None if nothing was to be found."""
    check_state: Mapped[str | None]
    """State of the check in `findings`."""
    cleaned_up: Mapped[bool] = mapped_column("tidied", default=False)
    """Whether the sweep has removed the blobs that an ended image does not keep (`blob_cleanup.surplus_keys`).

    Services of the version before use the column's name; it is renamed one version later.
    """
    dismissed: Mapped[bool] = mapped_column("dropped", default=False)
    """An operator has dismissed the failure: it is not retried, and its original is not kept."""
    revised_spec: Mapped[str | None]
    """While the image is blurred again: how. Its former result, if `format` is set, stays until then."""
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    """Generation of its result: part of the blob's key. Each revision has a new one."""
    next_generation: Mapped[int] = mapped_column(default=0, server_default="0")
    """Generation of the result of the last revision, also if that has not ended or has failed."""
    worker: Mapped[str | None]
    """Host and process id of the worker of its last attempt, as `host/pid`."""
    found: Mapped[str | None]
    """How many findings there were, and how many were hidden, of each kind, as JSON (`Inspection.counts`)."""
    source: Mapped[str | None]
    """Where its original is fetched from, as JSON (`ImageSource`); None if it was sent."""
    target: Mapped[str | None]
    """Where its result is written besides the blob store: `place:key`, without the extension; None: nowhere."""
    claims: Mapped[int] = mapped_column(default=0, server_default="0")
    """Distinguishes claims of this version from those of the version before, without revisions (migration 0010)."""

    @property
    def result_crc32(self) -> int | None:
        """CRC-32 of the result, if it is known."""
        if not self.output_crc32 or not self.output_sha256 or self.output_crc32[8:] != self.output_sha256[:8]:
            return None
        return int(self.output_crc32[:8], 16)


def has_result(image: "Image") -> bool:
    """Return whether an image, or a row of its table, has a result: also while a revision may replace it."""
    return image.state == ImageState.SUCCEEDED or (image.revised_spec is not None and image.format is not None)


class UnownedBlobs(Base):
    """Blobs that no order owns: of a running upload, or of an order that is gone.

    Services of the version before know no states but write negative heartbeats. On PostgreSQL, where they run beside
    this version during an upgrade, a trigger translates between the two (migration 0008, ADR 27).
    """

    __tablename__ = "unowned_blobs"
    __table_args__ = (
        one_of("state", UnownedBlobsState),
        CheckConstraint("(state = 'REMOVED') = (check_again_at IS NOT NULL)", name="check_again_at"),
        partial_index("unowned_blobs_uploading", "heartbeat_at", where="state = 'UPLOADING'"),
        partial_index("unowned_blobs_removing", "order_id", where="state = 'REMOVING'"),
        partial_index("unowned_blobs_removed", "check_again_at", where="state = 'REMOVED'"),
    )

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default=UnownedBlobsState.UPLOADING)
    heartbeat_at: Mapped[int]
    """UPLOADING: when the gateway last reported that the upload goes on. Otherwise without meaning."""
    check_again_at: Mapped[int | None]
    """REMOVED: when the blobs are removed once more."""


class Upload(Base):
    """An upload that can be resumed. It owns its blobs until its order, which has the same ID, is stored.

    What is to be done with the images is in a blob (`manifest_key`).
    """

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("state", UploadState),
        CheckConstraint("received <= size", name="received"),
        Index("uploads_expiry", "expires_at"),
        partial_index("uploads_mailbox", "mailbox", where="mailbox IS NOT NULL"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    principal: Mapped[str]
    caller_hash: Mapped[str] = mapped_column("caller")
    """Hash of the rate limit key."""
    mailbox: Mapped[str | None]
    """The hash of the address's mailbox; None without an address."""
    created_at: Mapped[int]
    expires_at: Mapped[int]
    image_count: Mapped[int]
    size: Mapped[int]
    """Size of all images, in bytes."""
    received: Mapped[int] = mapped_column(default=0)
    """Bytes that are stored: the next one is sent from here."""
    parts: Mapped[str] = mapped_column(default="[]")
    """Parts of the image that `received` ends in: the start and the owner of each, as JSON."""
    owner: Mapped[UUID | None]
    """The call that may append: the last one that began."""


class UploadImage(Base):
    """An image of an upload that was received whole."""

    __tablename__ = "upload_images"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    """As hex."""


class IdempotencyKey(Base):
    """A request that was answered, so that a repetition gets the same answer."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    resource_id: Mapped[UUID]
    expires_at: Mapped[int] = mapped_column(index=True)
