"""The mailer's metrics."""

from prometheus_client import Counter, Histogram

from services.common.infra.metrics import SECONDS

_EMAILS = Counter("imageblur_emails", "Attempts to send e-mails by kind and outcome.", ["kind", "outcome"])
_REPORTS = Counter("imageblur_mail_reports", "Messages read from the mailbox of bounces by what they report.", ["kind"])
_EMAIL_SECONDS = Histogram("imageblur_email_seconds", "From an e-mail's claim to its outcome.", buckets=SECONDS)

_WEBHOOKS = Counter("imageblur_webhooks", "Attempts to post events to webhooks by outcome.", ["outcome"])
_WEBHOOK_SECONDS = Histogram("imageblur_webhook_seconds", "From an event's claim to its outcome.", buckets=SECONDS)


def webhook_done(outcome: str, seconds: float) -> None:
    """Count an attempt to post an event that has ended."""
    _WEBHOOKS.labels(outcome).inc()
    _WEBHOOK_SECONDS.observe(seconds)


def email_done(kind: str, outcome: str, seconds: float) -> None:
    """Count an attempt that has ended."""
    _EMAILS.labels(kind, outcome).inc()
    _EMAIL_SECONDS.observe(seconds)


def report_done(kind: str) -> None:
    """Count a message of the mailbox of bounces."""
    _REPORTS.labels(kind).inc()
