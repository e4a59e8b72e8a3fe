"""Renews the leases of claimed images."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.orders import image_claims
from services.common.infra.leases import LEASE_SECONDS


@dataclass(frozen=True)
class RenewImageLeases:
    """Extends leases in one statement."""

    database: Database

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write(durable=False) as session:
            image_claims.renew_claims(session, owners, lease_seconds=LEASE_SECONDS)
