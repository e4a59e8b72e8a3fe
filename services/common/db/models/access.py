"""API keys and the audit log."""

from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of
from services.common.domain.api_keys import Role


class ApiKey(Base):
    """An API key. Only its digest is stored; after a rotation the former digest for a while, too."""

    __tablename__ = "api_keys"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    """Its first characters, by which people recognise it."""
    former_digest: Mapped[str | None]
    former_until: Mapped[int | None]
    created_at: Mapped[int]
    created_by: Mapped[str]
    rotated_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    last_used_at: Mapped[int | None]
    """Time of the last use, to the minute."""
    last_used_from: Mapped[str | None]
    """The class of the address (`AddressClass`), never the address."""
    scopes: Mapped[str] = mapped_column(default="", server_default="")
    """Names of `Scope`, separated by spaces; empty: all that the role allows."""
    orders_per_minute: Mapped[int | None]
    bytes_in_flight: Mapped[int | None]
    images_per_day: Mapped[int | None]


class AuditEntry(Base):
    """A change: inserted by the transaction that made it, or before the first of many."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("audit_entries_time", "created_at", "id"),
        Index("audit_entries_subject", "subject", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[int]
    principal: Mapped[str]
    action: Mapped[str]
    """The method's name, such as `PauseQueue`."""
    subject: Mapped[str]
    """What was changed, such as `queues/blur`."""
    detail: Mapped[str]
    """As JSON: no addresses, no keys."""
