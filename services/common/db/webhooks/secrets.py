"""Statements about the versions of webhooks' secrets."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import WebhookSecret
from services.common.db.upsert import insert_if_absent

OVERLAP_SECONDS = 24 * 3600
"""How long events are signed with the former secret too, so that receivers can change theirs."""


@dataclass(frozen=True, kw_only=True)
class SecretVersions:
    """The versions of a principal's secret that sign now."""

    current: int = 1
    former: int | None = None

    @property
    def signing(self) -> tuple[int, ...]:
        """All of them, the current one first."""
        return (self.current,) if self.former is None else (self.current, self.former)


def get_versions(session: Session, principal: str) -> SecretVersions:
    """Return the versions of a principal's secret."""
    row = session.execute(
        select(WebhookSecret.version, WebhookSecret.rotated_at > now() - OVERLAP_SECONDS * SECOND).where(
            WebhookSecret.principal == principal
        )
    ).one_or_none()
    if row is None:
        return SecretVersions()
    version, recent = row
    return SecretVersions(current=version, former=version - 1 if recent else None)


def rotate(session: Session, principal: str) -> int:
    """Replace a principal's secret; return the new version."""
    if insert_if_absent(session, WebhookSecret, {"principal": principal, "version": 2, "rotated_at": now()}):
        return 2
    return session.scalars(
        update(WebhookSecret)
        .where(WebhookSecret.principal == principal)
        .values(version=WebhookSecret.version + 1, rotated_at=now())
        .returning(WebhookSecret.version)
    ).one()
