"""Calls to a running compose.yaml: gRPC by grpcurl, over TLS with an API key (KEY, ADMIN_KEY), the pages, e-mails."""

import http.client
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

GATEWAYS = ("127.0.0.1:50051", "127.0.0.1:50052")
PAGES = "http://127.0.0.1:8080"
CATCHER = "http://127.0.0.1:8025/api/v1"
SECONDS = 180.0
SECRETS = Path(__file__).resolve().parents[1] / "secrets"
GRPCURL = Path(sys.executable).parent / "grpcurl"

T = TypeVar("T")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def grpc(method: str, request: object, gateway: str = GATEWAYS[0], *, key: str = "KEY") -> dict[str, Any]:
    """Call a method with the key of this variable, and return its answer."""
    access = ["-cacert", str(SECRETS / "tls_ca.pem"), "-H", f"authorization: Bearer {os.environ[key]}"]
    command = [str(GRPCURL), *access, "-max-time", "30", "-d", "@", gateway, method]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)  # noqa: S603
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def get(url: str) -> bytes:
    """Return what an address shows."""
    with _direct.open(url, timeout=60) as answer:
        return bytes(answer.read())


def post(url: str, **fields: str) -> bytes:
    """Submit a form, as a browser does or as a mail provider does for its user, and return the page that follows."""
    with _direct.open(url, urllib.parse.urlencode(fields).encode(), timeout=60) as answer:
        return bytes(answer.read())


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """Return what is looked for as soon as it is there. Exits if it does not come."""
    deadline = monotonic() + SECONDS
    while monotonic() < deadline:
        if found := look():
            return found
        sleep(0.5)
    sys.exit(f"not in time: {what}")


def emails_to(address: str) -> list[tuple[bytes, EmailMessage]]:
    """Return the e-mails to an address that the mail catcher has, as they arrived and parsed, in no order."""
    try:
        listed = json.loads(get(f"{CATCHER}/messages?limit=1000"))["messages"]
    except (OSError, http.client.HTTPException):
        return []  # it is about to start
    found = [get(f"{CATCHER}/message/{each['ID']}/raw") for each in listed]
    parsed = [(raw, message_from_bytes(raw, policy=policy.default)) for raw in found]
    return [(raw, message) for raw, message in parsed if address in str(message["To"])]


def text_of(message: EmailMessage) -> str:
    """Return the plain text of an e-mail."""
    body = message.get_body(("plain",))
    assert body
    return str(body.get_content())
