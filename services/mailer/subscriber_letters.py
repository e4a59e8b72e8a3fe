"""Drafts letters to subscribers from rows."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

from sqlalchemy.orm import Session

from services.common.db import subscribers
from services.common.db.letters import Claim
from services.common.db.models import Mailing
from services.common.tokens import Tokens
from services.mailer.contents import Confirm, Draft, Weekly


def draft_confirmation(session: Session, claim: Claim, *, tokens: Tokens, public_url: str | None) -> Draft | None:
    """A letter that asks to confirm; None if there is nothing to confirm any more."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    if not subscriber or subscriber.state != "PENDING":
        return None
    token = tokens.make("confirm", subscriber.id, subscriber.token_version)
    return Draft(subscriber.email, subscriber.locale, Confirm(token, _link(public_url, "confirm", token)))


def draft_weekly(session: Session, claim: Claim, *, tokens: Tokens, public_url: str | None) -> Draft | None:
    """A letter of a mailing; None if its reader has unsubscribed or the mailing was cancelled."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    mailing = session.get(Mailing, claim.mailing_id)
    if not subscriber or subscriber.state != "CONFIRMED" or mailing is None or mailing.state == "CANCELLED":
        return None
    numbers = json.loads(mailing.content)
    token = tokens.make("unsubscribe", subscriber.id, subscriber.token_version)
    content = Weekly(
        orders=int(numbers["orders"]),
        images=int(numbers["images"]),
        failed=int(numbers["failed"]),
        begin=_moment(numbers["from"]),
        end=_moment(numbers["to"]),
        token=token,
        url=_link(public_url, "unsubscribe", token),
    )
    return Draft(subscriber.email, subscriber.locale, content)


def _link(public_url: str | None, page: str, token: str) -> str | None:
    return f"{public_url}/{page}?token={quote(token, safe='')}" if public_url else None


def _moment(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
