"""Statements about requests that were answered, so that a repetition gets the same answer."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import IdempotencyKey
from services.common.db.upsert import insert_if_absent
from services.common.domain.errors import InvalidArgument, Violation

KEPT_SECONDS = 48 * 3600
"""How long a request id is remembered."""


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """What makes two requests the same one."""

    principal: str
    method: str
    request_id: UUID
    fingerprint: str
    """Hash of the request's content."""


def get_answer(session: Session, request: IdempotentRequest) -> UUID | None:
    """Return the id that answered the same request before; None for a new request.

    Raises:
        InvalidArgument: The request id was used for another request.
    """
    key = session.get(IdempotencyKey, (request.principal, request.method, request.request_id))
    if key is None:
        return None
    if key.fingerprint != request.fingerprint:
        raise InvalidArgument(
            Violation("request_id", "was used for another request; make a new one"), reason="REQUEST_ID_REUSED"
        )
    return key.resource_id


def was_answered(session: Session, principal: str, method: str, request_id: UUID) -> bool:
    """Return whether a request with this id was answered before."""
    return session.get(IdempotencyKey, (principal, method, request_id)) is not None


def insert_answer(session: Session, request: IdempotentRequest, resource_id: UUID) -> UUID | None:
    """Store the answer in the transaction that makes it; return the earlier answer if there is one.

    Raises:
        InvalidArgument: The request id was used for another request.
    """
    values = {
        "principal": request.principal,
        "method": request.method,
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "resource_id": resource_id,
        "expires_at": now() + KEPT_SECONDS * SECOND,
    }
    # Of two calls at once, the second waits here for the first one's commit, and then finds its answer.
    return None if insert_if_absent(session, IdempotencyKey, values) else get_answer(session, request)


def delete_answer(session: Session, request: IdempotentRequest) -> None:
    """Forget the answer of a request, whose resource is gone."""
    key = session.get(IdempotencyKey, (request.principal, request.method, request.request_id))
    if key is not None:
        session.delete(key)
        session.flush()


def delete_expired(session: Session) -> None:
    """Delete answers older than `KEPT_SECONDS`."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at < now()))
