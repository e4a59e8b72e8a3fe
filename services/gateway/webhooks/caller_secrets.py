"""The secret that signs the webhooks of the current caller."""

from dataclasses import dataclass

from services.common.db.access import audit
from services.common.db.engine import Database
from services.common.db.webhooks import secrets
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.gateway.orders.placement.external_access import require_key
from services.gateway.rpc import callers
from services.gateway.rpc.thread_pool import ThreadPool


@dataclass(frozen=True, kw_only=True)
class CallerSecrets:
    """The use cases."""

    database: Database
    threads: ThreadPool
    secrets: WebhookSecrets

    async def get(self) -> str:
        """Return the current caller's secret.

        Raises:
            PermissionDenied: It has no API key.
            Unavailable: The database cannot be reached.
        """
        require_key("a webhook's secret")
        principal = callers.principal()

        def read() -> int:
            with self.database.read() as session:
                return secrets.get_versions(session, principal).current

        return self.secrets.secret(principal, await self.threads.run(read))

    async def rotate(self) -> str:
        """Replace the current caller's secret and return the new one.

        Raises:
            As `get`.
        """
        require_key("a webhook's secret")
        principal, changed_by = callers.principal(), callers.audit_context()

        def write() -> int:
            with self.database.write() as session:
                audit.record(session, changed_by, f"webhookSecrets/{principal}")
                return secrets.rotate(session, principal)

        return self.secrets.secret(principal, await self.threads.run_to_end(write))
