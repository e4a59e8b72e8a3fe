"""Statements about what operators did."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import AuditEntry


@dataclass(frozen=True)
class AuditContext:
    """What somebody is about to do."""

    principal: str
    action: str


def record(session: Session, audit_context: AuditContext, subject: str, **detail: object) -> None:
    """Write down what this transaction does. `detail` holds no address, file name or key."""
    session.add(
        AuditEntry(
            id=uuid4(),
            created_at=session.scalar(select(now())),
            principal=audit_context.principal,
            action=audit_context.action,
            subject=subject,
            detail=json.dumps(detail),
        )
    )


def page(
    session: Session, *, before: tuple[int, UUID] | None, limit: int, principal: str = "", action: str = ""
) -> Sequence[AuditEntry]:
    """Entries, the newest first; `before`: time and id of the last one of the page before."""
    query = select(AuditEntry).order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc()).limit(limit)
    if before:
        query = query.where(tuple_(AuditEntry.created_at, AuditEntry.id) < before)
    if principal:
        query = query.where(AuditEntry.principal == principal)
    if action:
        query = query.where(AuditEntry.action == action)
    return session.scalars(query).all()
