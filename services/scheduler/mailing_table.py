"""How mailings stand, for an operator at a terminal."""

from collections.abc import Sequence

from services.common.db.clock import SECOND, to_datetime
from services.common.db.mail.mailings import MailingProgress


def describe(mailings: Sequence[MailingProgress]) -> str:
    """A line or two for each mailing."""
    return "\n".join(map(_line, mailings)) or "no mailing yet"


def _line(progress: MailingProgress) -> str:
    mailing, emails = progress.mailing, progress.emails
    ended = sum(emails.get(state, 0) for state in ("SENT", "FAILED", "CANCELLED"))
    parts = [
        f"{mailing.id}  {mailing.period}  {mailing.state}",
        f"{ended:,} of {max(mailing.recipients, ended):,}",
        f"{emails.get('SENT', 0):,} sent, {emails.get('FAILED', 0):,} refused, {emails.get('QUEUED', 0):,} waiting",
        f"since {to_datetime(mailing.created_at):%Y-%m-%d %H:%M:%S} UTC",
    ]
    if mailing.finished_at:
        parts.append(f"for {(mailing.finished_at - mailing.created_at) / SECOND:,.0f} s")
    trouble = f"\n    the mail server is in trouble: {mailing.message}" if mailing.message else ""
    return "  ".join(parts) + trouble
