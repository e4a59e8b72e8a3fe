"""The active API keys in memory, so that a call needs no database query.

All active digests are read every two seconds, which bounds how long a revoked key stays valid on any gateway.
"""

import asyncio
import hmac
import time
from uuid import UUID

from services.common.db.access import api_keys
from services.common.db.access.api_keys import ActiveKey
from services.common.db.engine import Database
from services.common.domain.api_keys import AddressClass
from services.common.domain.api_keys import digest as key_digest
from services.common.domain.errors import ImageBlurError, Unavailable
from services.common.infra import log
from services.gateway.rpc.callers import Caller
from services.gateway.rpc.thread_pool import ThreadPool

REFRESH_SECONDS = 2.0
TRUST_SECONDS = 30.0
"""How long cached keys are trusted while the database is unavailable; revocations are unknown in this time."""
USED_SECONDS = 60.0
"""Precision of the time when a key was last used."""

_NO_KEY = key_digest("")

_log = log.get(__name__)


class KeyCache:
    """Finds the caller of an API key."""

    def __init__(self, database: Database, threads: ThreadPool) -> None:
        self._database = database
        self._threads = threads
        self._keys: dict[str, tuple[ActiveKey, float]] = {}  # by digest, each with its end on the monotonic clock
        self._refreshed_at = float("-inf")
        self._used: dict[UUID, AddressClass | None] = {}
        self._recorded_at: dict[UUID, float] = {}

    def find(self, key: str, used_from: AddressClass | None = None) -> Caller | None:
        """Return the caller of a key; None if the key is unknown, revoked or expired.

        `used_from`: the class of the caller's address, which is recorded.

        Raises:
            Unavailable: The keys could not be read for too long.
        """
        now = time.monotonic()
        if now > self._refreshed_at + TRUST_SECONDS:
            raise Unavailable("API keys cannot be checked: the database is unavailable")
        digest = key_digest(key)
        active, ends = self._keys.get(digest, (None, float("inf")))
        # In constant time. (The dictionary reveals nothing: without knowing a key nobody can choose a digest's prefix.)
        same = hmac.compare_digest(active.digest if active else _NO_KEY, digest)
        if not same or active is None or now >= ends:
            return None
        self._used[active.key_id] = used_from
        return Caller(active.role, active.key_id, active.scopes, active.limits)

    async def refresh(self) -> None:
        """Read the active keys, and record which were used.

        Raises:
            Unavailable: The database is unavailable.
        """
        started = time.monotonic()
        found = await self._threads.run(self._read, self._to_record(started))
        self._keys = {
            active.digest: (active, float("inf") if active.seconds is None else started + active.seconds)
            for active in found
        }
        self._refreshed_at = started

    async def run(self) -> None:
        """Refresh the keys until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except ImageBlurError as error:
                _log.warning("API keys not refreshed", error=str(error))
            except Exception:
                # Any error: without this task no revocation would take effect.
                _log.exception("API keys not refreshed")

    def _to_record(self, now: float) -> dict[UUID, AddressClass | None]:
        due = {
            key_id: used_from
            for key_id, used_from in self._used.items()
            if now > self._recorded_at.get(key_id, float("-inf")) + USED_SECONDS
        }
        self._recorded_at |= dict.fromkeys(due, now)
        self._used.clear()
        return due

    def _read(self, used: dict[UUID, AddressClass | None]) -> list[ActiveKey]:
        if used:
            with self._database.write(durable=False) as session:
                api_keys.record_use(session, used)
        with self._database.read() as session:
            return api_keys.active_keys(session)
