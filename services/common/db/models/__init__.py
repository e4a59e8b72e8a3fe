"""The tables. Times are microseconds since 1970 (UTC) from the database's clock (`clock.now`)."""

from services.common.db.models.access import ApiKey, AuditEntry
from services.common.db.models.base import Base, sql_literal, table
from services.common.db.models.mail import (
    ConfirmedMailbox,
    CustomText,
    Delivery,
    Email,
    Mailing,
    MailingPart,
    OperatorJob,
    Subscriber,
    SuppressedAddress,
)
from services.common.db.models.operation import FindModelSeen, Installation, PausedQueue, WorkerSeen
from services.common.db.models.orders import (
    IMAGE_HAS_SURPLUS_BLOBS,
    ORDER_IS_OPEN,
    IdempotencyKey,
    Image,
    Order,
    UnownedBlobs,
    Upload,
    UploadImage,
    has_result,
)
from services.common.db.models.webhooks import WebhookEvent, WebhookSecret

__all__ = [
    "IMAGE_HAS_SURPLUS_BLOBS",
    "ORDER_IS_OPEN",
    "ApiKey",
    "AuditEntry",
    "Base",
    "ConfirmedMailbox",
    "CustomText",
    "Delivery",
    "Email",
    "FindModelSeen",
    "IdempotencyKey",
    "Image",
    "Installation",
    "Mailing",
    "MailingPart",
    "OperatorJob",
    "Order",
    "PausedQueue",
    "Subscriber",
    "SuppressedAddress",
    "UnownedBlobs",
    "Upload",
    "UploadImage",
    "WebhookEvent",
    "WebhookSecret",
    "WorkerSeen",
    "has_result",
    "sql_literal",
    "table",
]
