"""Renews the leases of claimed e-mails."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.infra.leases import LEASE_SECONDS


@dataclass(frozen=True)
class RenewEmailLeases:
    """Extends leases in one statement."""

    database: Database

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write() as session:
            emails.renew_leases(session, owners, lease_seconds=LEASE_SECONDS)
