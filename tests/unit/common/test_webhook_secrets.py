import base64
import hashlib
import hmac
import time
from uuid import UUID

import pytest
from imageblur_client import WebhookVerificationError, verify_webhook

from services.common.infra.signing.webhook_secrets import WebhookSecrets

EVENT = UUID("00000000-0000-4000-8000-000000000001")
BODY = b'{"type":"order.finished"}'


def test_signatures_are_those_of_standard_webhooks() -> None:
    made = WebhookSecrets("k" * 40)
    headers = made.headers("key:1", [1], EVENT, 1_700_000_000, BODY)
    assert headers["webhook-id"] == "msg_00000000000040008000000000000001"
    secret = made.secret("key:1", 1)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert 24 <= len(key) <= 64  # as the specification asks for
    signed = f"{headers['webhook-id']}.1700000000.".encode() + BODY
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_each_principal_version_and_key_has_another_secret() -> None:
    made, other = WebhookSecrets("k" * 40), WebhookSecrets("l" * 40)
    assert (
        len({made.secret("key:1", 1), made.secret("key:1", 2), made.secret("key:2", 1), other.secret("key:1", 1)}) == 4
    )


def test_after_a_change_of_the_secret_key_receivers_with_the_former_secret_still_verify() -> None:
    before, after = WebhookSecrets("k" * 40), WebhookSecrets("l" * 40, "k" * 40)
    headers = after.headers("key:1", [1], EVENT, int(time.time()), BODY)
    assert verify_webhook(before.secret("key:1", 1), headers, BODY) == {"type": "order.finished"}
    assert verify_webhook(after.secret("key:1", 1), headers, BODY)


def test_what_is_altered_or_old_is_refused() -> None:
    made, now = WebhookSecrets("k" * 40), int(time.time())
    secret, headers = made.secret("key:1", 1), made.headers("key:1", [1], EVENT, now, BODY)
    for changed, body in (
        (headers, BODY + b" "),
        (headers | {"webhook-id": "msg_2"}, BODY),
        (headers | {"webhook-timestamp": str(now + 1)}, BODY),
        (headers | {"webhook-signature": ""}, BODY),
        (headers | {"webhook-signature": "v1,!!"}, BODY),
        (headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")}, BODY),
        ({}, BODY),
    ):
        with pytest.raises(WebhookVerificationError):
            verify_webhook(secret, changed, body)
    old = made.headers("key:1", [1], EVENT, now - 600, BODY)
    with pytest.raises(WebhookVerificationError, match="too old"):
        verify_webhook(secret, old, BODY)
    assert verify_webhook(secret, old, BODY, tolerance=1000)
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook("whsec_%", headers, BODY)
