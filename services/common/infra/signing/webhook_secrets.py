"""The secrets that sign webhooks, and the signatures, by the rules of Standard Webhooks.

A secret is derived from IMAGEBLUR_SECRET_KEY, the principal and the version of its secret: none is stored, none can be
read from the database or a backup, and each can be replaced. After a change of the secret key, webhooks are signed
with the secrets of the former keys too, as long as these are listed.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

PREFIX = "whsec_"


class WebhookSecrets:
    """Derives secrets from the secret key, and from former ones."""

    def __init__(self, secret_key: str, *former_keys: str) -> None:
        self._keys = (secret_key, *former_keys)

    def secret(self, principal: str, version: int) -> str:
        """Return a secret as receivers get it: `whsec_` and base64."""
        return PREFIX + base64.b64encode(_derive(self._keys[0], principal, version)).decode()

    def headers(
        self, principal: str, versions: Sequence[int], event_id: UUID, time: int, body: bytes
    ) -> dict[str, str]:
        """Return the headers of an attempt.

        Args:
            principal: That of the order's caller.
            versions: Versions of its secret; each signs.
            event_id: The event, the same in each attempt.
            time: Of this attempt, in seconds since 1970.
            body: What is posted.
        """
        message_id = f"msg_{event_id.hex}"
        content = f"{message_id}.{time}.".encode() + body
        keys = [_derive(key, principal, version) for version in versions for key in self._keys]
        signatures = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(time),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }


def _derive(key: str, principal: str, version: int) -> bytes:
    return hmac.digest(key.encode(), f"imageblur.webhook:{principal}:{version}".encode(), hashlib.sha256)
