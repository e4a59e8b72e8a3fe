"""Distinguishes leases whose owners are gone from those that only a jump of the database's clock has ended."""

import time
from collections.abc import Callable, Sequence
from uuid import UUID

from services.common.db.mail.emails import EmailClaim
from services.common.infra.leases import LEASE_SECONDS

RENEWED_WITHIN_SECONDS = LEASE_SECONDS / 2
"""In this time an owner that lives renews its lease, also one that has run out: twice the interval of renewals."""


class ExpiredLeases:
    """Remembers since when leases have been seen expired, by the clock of this process, which does not jump."""

    def __init__(self, seconds: float = RENEWED_WITHIN_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """`seconds`: how long a lease must have been expired before it is given up."""
        self._seconds = seconds
        self._clock = clock
        self._since: dict[tuple[UUID, UUID], float] = {}

    def given_up(self, expired: Sequence[EmailClaim]) -> list[EmailClaim]:
        """Return those of all claims whose leases are expired now that have been for long enough."""
        now = self._clock()
        self._since = {key: self._since.get(key, now) for key in map(_key, expired)}
        return [claim for claim in expired if self._since[_key(claim)] <= now - self._seconds]


def _key(claim: EmailClaim) -> tuple[UUID, UUID]:
    return claim.email_id, claim.owner
