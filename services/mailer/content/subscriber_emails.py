"""Drafts e-mails to subscribers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from services.common.db.mail import subscribers
from services.common.db.mail.batches import Batch, Reader
from services.common.db.mail.emails import EmailClaim
from services.common.infra.tokens import Tokens
from services.common.newsletter import thaw
from services.mailer.content import markup
from services.mailer.content.languages import DEFAULT, LANGUAGES
from services.mailer.content.models import Confirm, Draft, Goodbye, Weekly


def draft_confirmation(session: Session, claim: EmailClaim, *, tokens: Tokens, public_url: str | None) -> Draft | None:
    """An e-mail that asks to confirm; None if there is nothing to confirm any more."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    if not subscriber or subscriber.state != "PENDING":
        return None
    token = tokens.make("confirm", subscriber.id, subscriber.token_version)
    return Draft(subscriber.email, subscriber.locale, Confirm(token, _link(public_url, "confirm", token)))


def draft_goodbye(session: Session, claim: EmailClaim, *, public_url: str | None) -> Draft | None:
    """An e-mail that says that nothing more comes; None if its reader has subscribed again."""
    subscriber = claim.subscriber_id and subscribers.get(session, claim.subscriber_id)
    if not subscriber or subscriber.state != "UNSUBSCRIBED":
        return None
    return Draft(subscriber.email, subscriber.locale, Goodbye(public_url))


@dataclass(frozen=True)
class WeeklyDrafting:
    """Drafts the e-mails of mailings."""

    tokens: Tokens
    public_url: str | None
    _cached: Any = field(default_factory=lambda: lru_cache(16)(weekly_words))

    def __call__(self, batch: Batch, reader: Reader) -> Draft:
        """The e-mail to a reader of a mailing."""
        assert reader.claim.subscriber_id
        token = self.tokens.make("unsubscribe", reader.claim.subscriber_id, reader.token_version)
        content = Weekly(
            **self._cached(batch.content, reader.locale),
            token=token,
            url=_link(self.public_url, "unsubscribe", token),
            home_url=self.public_url,
        )
        return Draft(reader.email, reader.locale, content)


def weekly_words(content: str, locale: str) -> Mapping[str, Any]:
    """What a mailing says to all readers of a language: fields of Weekly.

    Where the operator has no text in that language, there is the one in English, or in whatever language there is.
    """
    values = thaw(content)
    texts: Mapping[str, str] = values.pop("text")
    language = LANGUAGES.get(locale, LANGUAGES[DEFAULT])
    chosen = next(iter([texts[name] for name in (locale, DEFAULT, *texts) if name in texts]), "")
    title, text = markup.split_subject(chosen)
    words = {name: language.number(values[name]) for name in ("orders", "images", "failed")}
    words |= {name: language.day(values[name]) for name in ("begin", "end")}
    return {**values, "title": title, "text": tuple(markup.parse(text, words))}


def _link(public_url: str | None, page: str, token: str) -> str | None:
    return f"{public_url}/{page}?token={quote(token, safe='')}" if public_url else None
