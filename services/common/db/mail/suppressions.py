"""Statements about addresses that get no e-mails of orders and no confirmations, stored as hashes."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import SuppressedAddress
from services.common.db.upsert import insert_if_absent
from services.common.domain.mail import Suppression


def suppress(session: Session, address: str, suppression: Suppression, reason: str) -> bool:
    """Suppress an address, by its hash; False if it was suppressed. `reason`: a reply, without the address."""
    values = {
        "address": address,
        "suppression": suppression,
        "reason": reason,
        "suppressed_at": session.scalar(select(now())),
    }
    return insert_if_absent(session, SuppressedAddress, values)


def find(session: Session, addresses: Sequence[str]) -> SuppressedAddress | None:
    """Return why an address is suppressed, by hashes of it; None if it is not."""
    return session.scalars(select(SuppressedAddress).where(SuppressedAddress.address.in_(addresses)).limit(1)).first()


def list_suppressed(session: Session, addresses: Collection[str]) -> set[str]:
    """Return those of the hashes that are suppressed."""
    return set(session.scalars(select(SuppressedAddress.address).where(SuppressedAddress.address.in_(addresses))))


def lift(session: Session, addresses: Sequence[str]) -> bool:
    """Send e-mails to an address again, by hashes of it; False if it was not suppressed."""
    lifted = delete(SuppressedAddress).where(SuppressedAddress.address.in_(addresses))
    return bool(session.scalars(lifted.returning(SuppressedAddress.address)).all())
