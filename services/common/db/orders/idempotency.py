"""Statements about requests that were answered, so that a repeat gets the same answer."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import IdempotencyKey
from services.common.domain.errors import InvalidArgument, Violation

KEPT_SECONDS = 48 * 3600
"""How long a request id is remembered."""


@dataclass(frozen=True)
class Request:
    """What makes a repeated request the same one."""

    principal: str
    method: str
    request_id: UUID
    fingerprint: str
    """Hash of what was asked for."""


def answered(session: Session, request: Request) -> UUID | None:
    """What the same request was answered before, if it was.

    Raises:
        InvalidArgument: The request id was used to ask for something else.
    """
    key = session.get(IdempotencyKey, (request.principal, request.method, request.request_id))
    if key is None:
        return None
    if key.fingerprint != request.fingerprint:
        raise InvalidArgument(
            Violation("request_id", "was used for another request; make a new one"), reason="REQUEST_ID_REUSED"
        )
    return key.resource_id


def known(session: Session, principal: str, method: str, request_id: UUID) -> bool:
    """Whether a request with this id was answered before."""
    return session.get(IdempotencyKey, (principal, method, request_id)) is not None


def remember(session: Session, request: Request, resource_id: UUID) -> UUID | None:
    """Keep the answer with the transaction that gives it; the other's answer if another call was faster.

    Raises:
        InvalidArgument: The request id was used to ask for something else.
    """
    values = {
        "principal": request.principal,
        "method": request.method,
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "resource_id": resource_id,
        "expires_at": now() + KEPT_SECONDS * SECOND,
    }
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    # Two calls at once: the second waits here for the first one's commit, and then finds its answer.
    kept = session.scalar(
        dialect.insert(IdempotencyKey).values(**values).on_conflict_do_nothing().returning(IdempotencyKey.resource_id)
    )
    return None if kept else answered(session, request)


def forget_expired(session: Session) -> None:
    """Drop what need not be remembered any longer."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at < now()))
