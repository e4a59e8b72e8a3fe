"""Drafts the e-mails of a mailing."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from services.common.db.mail.batches import Batch, Recipient
from services.common.domain.languages import DEFAULT_LANGUAGE
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.newsletter_content import parse_content
from services.mailer.content import newsletter_markup
from services.mailer.content.email_content import Draft, Newsletter
from services.mailer.content.languages import RULES
from services.mailer.content.subscriber_emails import token_url


@dataclass(frozen=True, kw_only=True)
class NewsletterDrafter:
    """Drafts e-mails from a mailing's content; the part that all recipients of a language share is cached."""

    tokens: Tokens
    public_url: str | None
    _common: Callable[[str, str, str | None], Newsletter] = field(default_factory=lambda: lru_cache(16)(_common_part))

    def __call__(self, batch: Batch, recipient: Recipient) -> Draft:
        """Draft the e-mail to a recipient of a mailing."""
        assert recipient.claim.subscriber_id
        return self.draft(
            batch.content,
            address=recipient.address,
            locale=recipient.locale,
            token=self.tokens.make("unsubscribe", recipient.claim.subscriber_id, recipient.token_version),
        )

    def draft(self, content: str, *, address: str, locale: str, token: str) -> Draft:
        """Draft the e-mail to an address; `content`: the mailing's, as JSON."""
        url = token_url(self.public_url, "unsubscribe", token)
        common = self._common(content, locale, self.public_url)
        return Draft(to=address, locale=locale, content=replace(common, token=token, url=url))


def _common_part(content: str, locale: str, home_url: str | None) -> Newsletter:
    """Return what all recipients of a language get.

    Where there is no text in that language, they get the English one, or else the one that there is.
    """
    values = parse_content(content)
    rules = RULES.get(locale, RULES[DEFAULT_LANGUAGE])
    text_language = next((it for it in (locale, DEFAULT_LANGUAGE, *values.texts) if it in values.texts), None)
    title, text = newsletter_markup.split_subject(values.texts[text_language] if text_language else "")
    numbers = {name: rules.number(getattr(values, name)) for name in ("orders", "images", "failed")}
    days = {name: rules.day(getattr(values, name)) for name in ("begin", "end")}
    return Newsletter(
        orders=values.orders,
        images=values.images,
        failed=values.failed,
        begin=values.begin,
        end=values.end,
        home_url=home_url,
        title=title,
        text=tuple(newsletter_markup.parse(text, numbers | days)),
    )
