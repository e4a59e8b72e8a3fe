"""Verifies webhooks, for programs that receive them. Any library of Standard Webhooks does the same."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

_PREFIX = "whsec_"
_TOLERANCE_SECONDS = 300.0


class WebhookVerificationError(ValueError):
    """A request is not a webhook that this secret has signed, or an old one; answer it with 400."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance: float = _TOLERANCE_SECONDS
) -> dict[str, Any]:
    """Verify the signature of a webhook and return its event.

    An event may arrive more than once: keep the header `webhook-id` of those that you have handled.

    Args:
        secret: Of `Client.webhook_secret`: `whsec_` and base64.
        headers: Of the request; names in any case.
        body: The body, byte for byte.
        tolerance: Largest age in seconds, against requests that somebody has recorded.

    Raises:
        WebhookVerificationError: The signature is missing or wrong, or the webhook is too old.
        ValueError: The secret is malformed.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not whsec_ and base64") from None
    values = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = values.get("webhook-id", ""), values.get("webhook-timestamp", "")
    if not message_id or not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        raise WebhookVerificationError("the headers of a webhook are missing")
    expected = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    if not any(_matches(signature, expected) for signature in values.get("webhook-signature", "").split()):
        raise WebhookVerificationError("no signature is of this secret")
    if abs(time.time() - int(timestamp)) > tolerance:
        raise WebhookVerificationError("the webhook is too old, or a clock is wrong")
    event: dict[str, Any] = json.loads(body)
    return event


def _matches(signature: str, expected: bytes) -> bool:
    version, _, text = signature.partition(",")
    try:
        return version == "v1" and hmac.compare_digest(base64.b64decode(text, validate=True), expected)
    except (binascii.Error, ValueError):
        return False
