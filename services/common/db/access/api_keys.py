"""Statements about API keys. Each change is recorded in the audit log by its transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import case, or_, select, update
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.clock import SECOND, now
from services.common.db.models import ApiKey, table
from services.common.domain import api_keys
from services.common.domain.api_keys import NO_LIMITS, AddressClass, KeyLimits, Role, Scope
from services.common.domain.errors import FailedPrecondition, NotFound

_KEYS = table(ApiKey)
_ACTIVE = select(
    _KEYS.c.id,
    _KEYS.c.role,
    _KEYS.c.digest,
    _KEYS.c.expires_at,
    _KEYS.c.former_digest,
    _KEYS.c.former_until,
    _KEYS.c.scopes,
    _KEYS.c.orders_per_minute,
    _KEYS.c.bytes_in_flight,
    _KEYS.c.images_per_day,
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
    scopes: frozenset[Scope] = frozenset()
    """Groups of RPCs; empty: all that the role allows."""
    limits: KeyLimits = NO_LIMITS


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
    scopes: frozenset[Scope] = frozenset(),
    limits: KeyLimits = NO_LIMITS,
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
        **_restrictions(scopes, limits),
    )
    session.add(row)
    restrictions = {name: value for name, value in _restrictions(scopes, limits).items() if value}
    audit.record(session, audit_context, f"apiKeys/{row.id}", role=role, expires=seconds is not None, **restrictions)
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
    _check_active(row, time)
    key = api_keys.new_key()
    row.former_digest, row.former_until = (row.digest, time + grace_seconds * SECOND) if grace_seconds else (None, None)
    row.digest, row.hint, row.rotated_at = api_keys.digest(key), api_keys.hint(key), time
    audit.record(session, audit_context, f"apiKeys/{key_id}", grace_seconds=grace_seconds)
    session.flush()
    return IssuedKey(row, key)


def restrict(
    session: Session, audit_context: AuditContext, key_id: UUID, *, scopes: frozenset[Scope], limits: KeyLimits
) -> ApiKey:
    """Replace the scopes and limits of a key.

    Raises:
        NotFound: The key does not exist.
        FailedPrecondition: It was revoked or has expired.
    """
    row = _locked(session, key_id)
    _check_active(row, _time(session))
    restrictions = _restrictions(scopes, limits)
    for name, value in restrictions.items():
        setattr(row, name, value)
    audit.record(session, audit_context, f"apiKeys/{key_id}", **restrictions)
    session.flush()
    return row


def get(session: Session, key_id: UUID) -> ApiKey:
    """Return a key.

    Raises:
        NotFound: The key does not exist.
    """
    row = session.get(ApiKey, key_id)
    if row is None:
        raise NotFound("API key", str(key_id))
    return row


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
        scopes, limits = scopes_of(row), limits_of(row)
        found.append(ActiveKey(row.id, Role(row.role), row.digest, seconds, scopes, limits))
        if row.former_digest and row.former_until > row.read_at:
            former = (row.former_until - row.read_at) / SECOND
            until = min(former, seconds or former)
            found.append(ActiveKey(row.id, Role(row.role), row.former_digest, until, scopes, limits))
    return found


def scopes_of(row: Any) -> frozenset[Scope]:
    """Return the scopes of a key or its row. Those that this version does not know allow nothing."""
    known = set(Scope)
    return frozenset(Scope(name) for name in row.scopes.split() if name in known)


def limits_of(row: Any) -> KeyLimits:
    """Return the limits of a key or its row."""
    return KeyLimits(
        orders_per_minute=row.orders_per_minute or 0,
        bytes_in_flight=row.bytes_in_flight or 0,
        images_per_day=row.images_per_day or 0,
    )


def record_use(session: Session, used: Mapping[UUID, AddressClass | None]) -> None:
    """Record that keys were used now, each from an address of this class."""
    by_class: dict[AddressClass | None, list[UUID]] = {}
    for key_id, used_from in used.items():
        by_class.setdefault(used_from, []).append(key_id)
    for used_from, key_ids in by_class.items():
        session.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(key_ids))
            .values(
                # Another gateway may have recorded a later use.
                last_used_at=case((ApiKey.last_used_at > now(), ApiKey.last_used_at), else_=now()),
                last_used_from=used_from,
            )
        )


def _restrictions(scopes: frozenset[Scope], limits: KeyLimits) -> dict[str, Any]:
    """Return the columns for scopes and limits."""
    return {"scopes": " ".join(scope for scope in Scope if scope in scopes)} | {
        name: value or None for name, value in asdict(limits).items()
    }


def _check_active(row: ApiKey, time: int) -> None:
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= time):
        raise FailedPrecondition(
            "API_KEY_INACTIVE", f"apiKeys/{row.id}", "the key was revoked or has expired: create a new one"
        )


def _locked(session: Session, key_id: UUID) -> ApiKey:
    row = session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise NotFound("API key", str(key_id))
    return row


def _time(session: Session) -> int:
    return session.scalar(select(now())) or 0
