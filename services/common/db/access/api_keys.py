"""Statements about API keys. Each change is recorded in the audit log by its transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import case, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.clock import SECOND, now
from services.common.db.models import ApiKey, table
from services.common.domain import api_keys
from services.common.domain.api_keys import Role
from services.common.domain.errors import FailedPrecondition, NotFound

_KEYS = table(ApiKey)
_ACTIVE = select(
    _KEYS.c.id,
    _KEYS.c.role,
    _KEYS.c.digest,
    _KEYS.c.expires_at,
    _KEYS.c.former_digest,
    _KEYS.c.former_until,
    now().label("read_at"),
).where(_KEYS.c.revoked_at.is_(None), or_(_KEYS.c.expires_at.is_(None), _KEYS.c.expires_at > now()))


@dataclass(frozen=True)
class ActiveKey:
    """A valid digest of a key: its current one, or the previous one in its grace period."""

    key_id: UUID
    role: Role
    digest: str
    seconds: float | None
    """How long it is valid from now; None: until it is revoked."""


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its secret, which is not stored."""

    row: ApiKey
    key: str


def create(
    session: Session,
    audit_context: AuditContext,
    *,
    name: str,
    role: Role,
    seconds: int | None,
    key: str | None = None,
) -> IssuedKey:
    """Create a key that is valid for so many seconds, or until it is revoked if None; `key`: with this secret."""
    key = key or api_keys.new_key()
    time = _time(session)
    row = ApiKey(
        id=uuid4(),
        name=name,
        role=role,
        digest=api_keys.digest(key),
        hint=api_keys.hint(key),
        created_at=time,
        created_by=audit_context.principal,
        expires_at=None if seconds is None else time + seconds * SECOND,
    )
    session.add(row)
    audit.record(session, audit_context, f"apiKeys/{row.id}", role=role, expires=seconds is not None)
    session.flush()
    return IssuedKey(row, key)


def is_known(session: Session, key: str) -> bool:
    """Return whether there is a key with this secret, whether valid or not."""
    return session.scalar(select(_KEYS.c.id).where(_KEYS.c.digest == api_keys.digest(key))) is not None


def rotate(session: Session, audit_context: AuditContext, key_id: UUID, *, grace_seconds: int) -> IssuedKey:
    """Replace the secret of a key. Its ID stays, so rate limits, idempotency and the audit log see the same principal.

    The previous secret stays valid for `grace_seconds`.

    Raises:
        NotFound: The key does not exist.
        FailedPrecondition: It was revoked or has expired.
    """
    row, time = _locked(session, key_id), _time(session)
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= time):
        raise FailedPrecondition(
            "API_KEY_INACTIVE", f"apiKeys/{key_id}", "the key was revoked or has expired: create a new one"
        )
    key = api_keys.new_key()
    row.former_digest, row.former_until = (row.digest, time + grace_seconds * SECOND) if grace_seconds else (None, None)
    row.digest, row.hint, row.rotated_at = api_keys.digest(key), api_keys.hint(key), time
    audit.record(session, audit_context, f"apiKeys/{key_id}", grace_seconds=grace_seconds)
    session.flush()
    return IssuedKey(row, key)


def revoke(session: Session, audit_context: AuditContext, key_id: UUID) -> ApiKey:
    """Revoke a key; has no effect if it was revoked before.

    Raises:
        NotFound: The key does not exist.
    """
    row = _locked(session, key_id)
    if row.revoked_at is None:
        row.revoked_at = _time(session)
        row.former_digest = row.former_until = None
        audit.record(session, audit_context, f"apiKeys/{key_id}")
    session.flush()
    return row


def list_keys(session: Session, *, after: UUID | None, limit: int, include_inactive: bool) -> Sequence[ApiKey]:
    """Return keys by ID, optionally with those that were revoked or have expired."""
    query = select(ApiKey).order_by(ApiKey.id).limit(limit)
    if after:
        query = query.where(ApiKey.id > after)
    if not include_inactive:
        query = query.where(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()))
    return session.scalars(query).all()


def active_keys(session: Session) -> list[ActiveKey]:
    """Return all digests that are valid now."""
    found = []
    for row in session.execute(_ACTIVE):
        seconds = None if row.expires_at is None else (row.expires_at - row.read_at) / SECOND
        found.append(ActiveKey(row.id, Role(row.role), row.digest, seconds))
        if row.former_digest and row.former_until > row.read_at:
            former = (row.former_until - row.read_at) / SECOND
            found.append(ActiveKey(row.id, Role(row.role), row.former_digest, min(former, seconds or former)))
    return found


def record_use(session: Session, key_ids: Iterable[UUID]) -> None:
    """Record that keys were used now."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id.in_(list(key_ids)))
        # Another gateway may have recorded a later use.
        .values(last_used_at=case((ApiKey.last_used_at > now(), ApiKey.last_used_at), else_=now()))
        .execution_options(synchronize_session=False)
    )


def _locked(session: Session, key_id: UUID) -> ApiKey:
    row = session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise NotFound("API key", str(key_id))
    return row


def _time(session: Session) -> int:
    return session.scalar(select(now())) or 0
