"""The keys that open this gateway, in memory: a call costs no question to the database.

All live digests are read every two seconds, so a key that is revoked anywhere opens no gateway for longer than that.
"""

import asyncio
import hmac
import time
from uuid import UUID

from services.common.db.access import api_keys
from services.common.db.access.api_keys import Live
from services.common.db.engine import Database
from services.common.domain.api_keys import digest as key_digest
from services.common.domain.errors import ImageBlurError, Unavailable
from services.common.infra import log
from services.gateway.rpc.callers import Caller
from services.gateway.rpc.thread_pool import Offload

REFRESH_SECONDS = 2.0
TRUST_SECONDS = 30.0
"""How long keys are relied on while the database is away; longer, and nobody knows which were revoked."""
USED_SECONDS = 60.0
"""How exactly it is known when a key was used last."""

_NOBODY = key_digest("")

_log = log.get(__name__)


class KeyRing:
    """Finds whose key it is."""

    def __init__(self, database: Database, offload: Offload) -> None:
        self._database = database
        self._offload = offload
        self._found: dict[str, tuple[Live, float]] = {}  # by digest, each with when it ends on our clock
        self._read_at = float("-inf")
        self._used: set[UUID] = set()
        self._told: dict[UUID, float] = {}

    def find(self, key: str) -> Caller | None:
        """Whose key this is; None if it opens nothing, whether it is unknown, was revoked or has expired.

        Raises:
            Unavailable: The keys could not be read for too long, so nothing can be said of any.
        """
        now = time.monotonic()
        if now > self._read_at + TRUST_SECONDS:
            raise Unavailable("API keys cannot be checked: the database cannot be reached")
        digest = key_digest(key)
        live, ends = self._found.get(digest, (None, float("inf")))
        # The same steps whatever the answer. (The look-up tells nothing: who does not know a key cannot choose what its
        # digest begins with.)
        same = hmac.compare_digest(live.digest if live else _NOBODY, digest)
        if not same or live is None or now >= ends:
            return None
        self._used.add(live.key_id)
        return Caller(live.role, live.key_id)

    async def refresh(self) -> None:
        """Read the keys. Raises: Unavailable."""
        began = time.monotonic()
        found = await self._offload(self._read, self._due(began))
        self._found = {
            live.digest: (live, float("inf") if live.seconds is None else began + live.seconds) for live in found
        }
        self._read_at = began

    async def keep_fresh(self) -> None:
        """Read them again and again, for as long as the gateway serves."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except ImageBlurError as error:
                _log.warning("keys not read", error=str(error))
            except Exception:
                # Whatever it is: without this task no key would ever be revoked.
                _log.exception("keys not read")

    def _due(self, now: float) -> list[UUID]:
        due = [key_id for key_id in self._used if now > self._told.get(key_id, float("-inf")) + USED_SECONDS]
        self._told |= dict.fromkeys(due, now)
        self._used.clear()
        return due

    def _read(self, used: list[UUID]) -> list[Live]:
        if used:
            with self._database.write(durable=False) as session:
                api_keys.used(session, used)
        with self._database.read() as session:
            return api_keys.live(session)
