"""Statements about the audit log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import AuditEntry

COMMAND_LINE = "command line"
"""The principal of commands that work without a gateway."""
SCHEDULER = "scheduler"


@dataclass(frozen=True)
class AuditContext:
    """Who makes a change, and how."""

    principal: str
    """As in the interface's AuditEntry: `key:` and the key's ID, `anonymous`, `command line`, or `scheduler`."""
    action: str
    """Name of the RPC, or of what a command or a job of the scheduler does."""


def record(session: Session, audit_context: AuditContext, subject: str, **detail: object) -> None:
    """Record the change that this transaction makes. `detail` must not contain an address, a file name or a key."""
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
    session: Session,
    *,
    before: tuple[int, UUID] | None,
    limit: int,
    principal: str = "",
    action: str = "",
    subject: str = "",
) -> Sequence[AuditEntry]:
    """Return entries, newest first; `before`: time and ID of the last entry of the previous page."""
    query = select(AuditEntry).order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc()).limit(limit)
    if before:
        query = query.where(tuple_(AuditEntry.created_at, AuditEntry.id) < before)
    if principal:
        query = query.where(AuditEntry.principal == principal)
    if action:
        query = query.where(AuditEntry.action == action)
    if subject:
        query = query.where(AuditEntry.subject == subject)
    return session.scalars(query).all()
