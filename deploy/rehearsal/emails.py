"""`.venv/bin/python -m deploy.rehearsal.emails`: receive e-mails of a running compose.yaml, and open their links.

The first e-mail to a stranger asks to confirm; then the results come, attached and behind a link. A reader subscribes
on the page, confirms, gets the newsletter, and unsubscribes as mail providers do (RFC 8058). Signatures are verified
with the key of deploy/secrets. Needs the settings of run.sh. Exits with 1 if a promise is broken.
"""

import base64
import io
import re
import subprocess
import sys
import zipfile
from email.message import EmailMessage
from uuid import uuid4

import dkim

from deploy.rehearsal.calls import PAGES, SECRETS, emails_to, get, grpc, post, text_of, wait_for
from deploy.rehearsal.walk import photograph

IMAGES = 3


def main() -> None:
    """Walk through the e-mails of an order and of the newsletter."""
    for page in ("/", "/newsletter", "/v1"):
        assert b"</html>" in get(PAGES + page), page
    print("pages:", PAGES)
    order_results(f"customer-{uuid4().hex[:8]}@example.org")
    newsletter(f"reader-{uuid4().hex[:8]}@example.org")


def order_results(address: str) -> None:
    """Have results mailed to an address that has not confirmed yet."""
    images = [{"filename": f"{number}.jpg", "data": photograph(number)} for number in range(IMAGES)]
    header = {"email": address, "notify": True, "spec": {"gaussian": {"sigma_px": 8}}}
    order = grpc("imageblur.v1.BlurService/BlurOrder", {"order": header, "images": images})["order"]
    first = arrives(address, "/receive?token=")
    assert not list(first.iter_attachments()), "results for somebody who has not confirmed"
    confirm(link(first, "/receive?token="))
    second = arrives(address, f"/orders/{order['order_id']}", but=first)
    (attachment,) = second.iter_attachments()
    check_archive(attachment.get_payload(decode=True))
    shown = link(second, f"/orders/{order['order_id']}")
    assert order["order_id"].encode() in get(shown)
    check_archive(get(f"{shown}/archive"))
    print("e-mail of an order: attached, and downloaded from", shown)


def newsletter(address: str) -> None:
    """Subscribe, read and unsubscribe."""
    post(f"{PAGES}/newsletter/subscribe", email=address)
    confirm(link(arrives(address, "/confirm?token="), "/confirm?token="))
    subscribed = confirmed_subscribers()
    grpc("imageblur.v1.OperatorService/RunMailing", {"request_id": str(uuid4())}, key="ADMIN_KEY")
    issue = arrives(address, "/unsubscribe?token=")
    # As a header, one-click needs https, which the pages have behind your proxy.
    target = link(issue, "/unsubscribe?token=")
    assert b"</form>" in get(target)
    assert confirmed_subscribers() == subscribed, "a link that is opened changes nothing"
    post(target, **{"List-Unsubscribe": "One-Click"})
    assert confirmed_subscribers() == subscribed - 1
    print("newsletter: subscribed, confirmed, received, unsubscribed")


def confirmed_subscribers() -> int:
    """Return how many confirmed subscribers there are."""
    counts = grpc("imageblur.v1.OperatorService/CountSubscribers", {}, key="ADMIN_KEY")
    return int(counts.get("confirmed", 0))


def arrives(address: str, link_path: str, *, but: EmailMessage | None = None) -> EmailMessage:
    """Wait for another e-mail to an address with such a link."""

    def look() -> EmailMessage | None:
        for raw, message in emails_to(address):
            if link_path in text_of(message) and (but is None or message["Message-ID"] != but["Message-ID"]):
                check_signature(raw)
                return message
        return None

    return wait_for(f"an e-mail to {address} with {link_path}", look)


def check_signature(raw: bytes) -> None:
    """Verify the signature (DKIM) of an e-mail with the public key that deploy/mail.sh prints for the DNS."""
    command = ["openssl", "rsa", "-in", str(SECRETS / "dkim.pem"), "-pubout", "-outform", "DER"]
    public = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - no text of others
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    assert dkim.verify(raw, dnsfunc=lambda *_, **__: record), "the signature is not valid"


def link(message: EmailMessage, path: str) -> str:
    """Return the link of an e-mail that begins with the pages' address and this path."""
    found = re.search(re.escape(PAGES + path) + r"\S*", text_of(message))
    assert found, text_of(message)
    return found[0]


def confirm(url: str) -> None:
    """Open a link, and press the button of its page."""
    page = get(url).decode()
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action, page
    post(PAGES + action[1].replace("&amp;", "&"))


def check_archive(data: object) -> None:
    """Check that an archive has all results."""
    assert isinstance(data, bytes)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == IMAGES, archive.namelist()


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        detail = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
        sys.exit(f"a promise is broken: {type(error).__name__} {detail}")
