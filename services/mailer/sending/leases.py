"""Renews the leases of claimed e-mails.

A lease does not outlast a slow mail server, which may take ten minutes to accept an e-mail, or hours to read one. It
outlasts the database: as long as its mailer lives it is renewed so far ahead that no other mailer claims the e-mail
when the database was unavailable for a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.infra.leases import LEASE_SECONDS

EMAIL_LEASE_SECONDS = 60.0 + LEASE_SECONDS
"""How far ahead the leases of claimed e-mails are renewed; so long nobody else sends those of a killed mailer."""


@dataclass(frozen=True)
class RenewEmailLeases:
    """Extends leases in one statement."""

    database: Database
    lease_seconds: float = EMAIL_LEASE_SECONDS

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write() as session:
            emails.renew_leases(session, owners, lease_seconds=self.lease_seconds)
