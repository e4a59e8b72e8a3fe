"""Drafts confirmation and goodbye e-mails."""

from urllib.parse import quote

from sqlalchemy.orm import Session

from services.common.db.mail import subscribers
from services.common.db.mail.emails import EmailClaim
from services.common.domain.mail import SubscriberState
from services.common.infra.signing.tokens import Tokens
from services.mailer.content.email_content import ConfirmSubscription, Draft, Goodbye


def draft_confirmation(session: Session, claim: EmailClaim, *, tokens: Tokens, public_url: str | None) -> Draft | None:
    """Draft a confirmation e-mail; None if the subscriber is not pending any more."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    if not subscriber or subscriber.state != SubscriberState.PENDING:
        return None
    token = tokens.make("confirm", subscriber.id, subscriber.token_version)
    content = ConfirmSubscription(token=token, url=token_url(public_url, "confirm", token))
    return Draft(to=subscriber.email, locale=subscriber.locale, content=content)


def draft_goodbye(session: Session, claim: EmailClaim, *, public_url: str | None) -> Draft | None:
    """Draft a goodbye e-mail; None if the address has subscribed again."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    if not subscriber or subscriber.state != SubscriberState.UNSUBSCRIBED:
        return None
    return Draft(to=subscriber.email, locale=subscriber.locale, content=Goodbye(home_url=public_url))


def token_url(public_url: str | None, page: str, token: str) -> str | None:
    """Return the link to a page with a token; None without a public URL."""
    return f"{public_url}/{page}?token={quote(token, safe='')}" if public_url else None
