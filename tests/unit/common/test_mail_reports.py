"""What reports of other mail servers are taken for."""

from uuid import uuid4

import pytest

from services.common.domain.mail import MailReportKind
from services.common.domain.mail_reports import MAX_BYTES, NOT_A_REPORT, parse_report
from tests.support.mail_reports import bounce, complaint, hard_bounce, original

EMAIL = uuid4()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("5.1.1", MailReportKind.HARD),
        ("5.1.2", MailReportKind.HARD),
        ("5.1.10", MailReportKind.HARD),
        ("5.2.1", MailReportKind.HARD),
        ("5.4.4", MailReportKind.HARD),
        ("5.2.2", MailReportKind.SOFT),
        ("5.7.1", MailReportKind.SOFT),
        ("5.0.0", MailReportKind.SOFT),
        ("4.4.7", MailReportKind.SOFT),
        ("nonsense", MailReportKind.SOFT),
    ],
)
def test_only_the_codes_of_a_missing_mailbox_are_hard_bounces(status: str, kind: MailReportKind) -> None:
    report = parse_report(bounce(EMAIL, status=status))
    assert (report.kind, report.email_ids) == (kind, (EMAIL,))


def test_the_email_is_found_by_its_recipient_or_by_the_message_id() -> None:
    assert parse_report(hard_bounce(EMAIL, verp=True)).email_ids == (EMAIL,)
    assert parse_report(hard_bounce(EMAIL)).email_ids == (EMAIL,)
    assert parse_report(hard_bounce(EMAIL, returned=False)).email_ids == ()
    headers_only = hard_bounce(EMAIL).replace(b"message/rfc822", b"text/rfc822-headers")
    assert parse_report(headers_only).email_ids == (EMAIL,)


def test_what_the_server_said_is_kept_without_the_address() -> None:
    report = parse_report(hard_bounce(EMAIL))
    assert (report.status, report.detail) == ("5.1.1", "5.1.1 smtp; 550 5.1.1 <(address)>: unknown user")


def test_a_delay_changes_nothing() -> None:
    report = parse_report(bounce(EMAIL, status="4.4.1", action="delayed"))
    assert (report.kind, report.is_report) == (None, True)


def test_complaints() -> None:
    report = parse_report(complaint(EMAIL))
    assert (report.kind, report.email_ids) == (MailReportKind.COMPLAINT, (EMAIL,))
    assert parse_report(complaint(EMAIL, kind="not-spam")).kind is None
    redacted = complaint(EMAIL).replace(str(EMAIL).encode(), b"redacted")
    sender = f"Original-Mail-From: <bounces+{EMAIL.hex}@example.org>\nVersion: 1".encode()
    assert parse_report(redacted.replace(b"Version: 1", sender)).email_ids == (EMAIL,)


def test_a_report_that_was_cut_within_the_returned_email_counts() -> None:
    whole = hard_bounce(EMAIL)
    cut = whole[: whole.index(b"Message-ID") + 80]
    assert parse_report(cut).email_ids == (EMAIL,)
    assert parse_report(whole + b"x" * MAX_BYTES).kind is MailReportKind.HARD


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0\xff",
        original(EMAIL).encode(),
        b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n--x--",
        b"".join(b"Content-Type: multipart/mixed; boundary=x%d\n\n--x%d\n" % (n, n) for n in range(5000)),
        b'Content-Type: multipart/report; boundary="x\n\n--x\n',
        b"To: =?utf-8?q?=ff?= <" + b"(" * 100_000,
    ],
)
def test_other_messages_are_no_reports(message: bytes) -> None:
    assert parse_report(message).kind is None
    assert parse_report(b"To: bounces+%s@example.org\n\nI am on holiday." % EMAIL.hex.encode()) == NOT_A_REPORT
