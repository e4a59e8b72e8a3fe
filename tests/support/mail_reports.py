"""Reports about e-mails as mail servers write them: bounces (RFC 3464) and complaints (RFC 5965)."""

from uuid import UUID

_REPORT = """\
From: {sender}
To: {to}
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="limit"

--limit
Content-Type: text/plain; charset=us-ascii

{text}

--limit
Content-Type: message/{kind}

{fields}
{returned}
--limit--
"""
_RETURNED = """
--limit
Content-Type: message/rfc822

{original}"""


def hard_bounce(email_id: UUID, *, verp: bool = False, returned: bool = True) -> bytes:
    """Return the report that the mailbox does not exist."""
    said = "550 5.1.1 <ann@example.org>: unknown user"
    return bounce(email_id, status="5.1.1", said=said, verp=verp, returned=returned)


def bounce(
    email_id: UUID,
    *,
    status: str,
    said: str = "no reason",
    action: str = "failed",
    verp: bool = False,
    returned: bool = True,
) -> bytes:
    """Return a delivery status notification; with `verp` only its recipient names the e-mail."""
    return _report(
        "delivery-status",
        to=f"bounces+{email_id.hex}@example.org" if verp else "bounces@example.org",
        sender="Mail Delivery System <MAILER-DAEMON@mx.example.net>",
        subject="Undelivered Mail Returned to Sender",
        text="Your e-mail could not be delivered.",
        fields=(
            "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; ann@example.org\n"
            f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {said}\n"
        ),
        returned=original(email_id) if returned and not verp else "",
    )


def complaint(email_id: UUID, *, kind: str = "abuse") -> bytes:
    """Return a complaint in the abuse reporting format."""
    return _report(
        "feedback-report",
        to="bounces@example.org",
        sender="feedback@isp.example.net",
        subject="FW: Newsletter",
        text="This is an abuse report.",
        fields=f"Feedback-Type: {kind}\nUser-Agent: Loop/1.0\nVersion: 1\n",
        returned=original(email_id),
    )


def original(email_id: UUID) -> str:
    """Return the e-mail that is returned."""
    return (
        "From: ImageBlur <blur@example.org>\n"
        f"Message-ID: <{email_id}@example.org>\n"
        "Subject: Newsletter\nContent-Type: text/plain\n\ntext\n"
    )


def _report(kind: str, *, returned: str, **values: str) -> bytes:
    part = _RETURNED.format(original=returned) if returned else ""
    return _REPORT.format(kind=kind, returned=part, **values).encode()
