"""Hides e-mail addresses in texts of others, such as replies of mail servers."""

import re

from services.gateway.orders.messages.responses import email_hint

_ADDRESS = re.compile(r"[^\s<>@\"':;,()]+@[^\s<>@\"':;,()]+")


def mask_addresses(text: str | None) -> str:
    """Return a text with its addresses mostly hidden."""
    return _ADDRESS.sub(lambda found: email_hint(found[0]), text or "")
