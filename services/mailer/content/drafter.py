"""Drafts single e-mails by kind."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Order
from services.common.domain.mail import EmailKind
from services.common.infra.signing.tokens import Tokens
from services.common.use_cases.recipients import Recipients
from services.mailer.content.email_content import Draft
from services.mailer.content.order_emails import OrderLinks, draft_order_email
from services.mailer.content.subscriber_emails import draft_confirmation, draft_goodbye
from services.mailer.content.unconfirmed import draft_unconfirmed


@dataclass(frozen=True, kw_only=True)
class EmailDrafter:
    """Drafts e-mails from rows and settings."""

    tokens: Tokens
    public_url: str | None
    capacity: int
    """Bytes of the largest archive that is attached."""
    recipients: Recipients

    def __call__(self, session: Session, claim: EmailClaim) -> Draft | None:
        """Draft a claimed e-mail; None if it is not wanted any more."""
        match claim.kind:
            case EmailKind.ORDER_READY:
                links = OrderLinks(tokens=self.tokens, public_url=self.public_url)
                if not self.recipients.may_get(session, session.get(Order, claim.order_id)):
                    return draft_unconfirmed(session, claim, links=links)
                return draft_order_email(session, claim, capacity=self.capacity, links=links)
            case EmailKind.CONFIRM:
                return draft_confirmation(session, claim, tokens=self.tokens, public_url=self.public_url)
            case EmailKind.GOODBYE:
                return draft_goodbye(session, claim, public_url=self.public_url)
            case EmailKind.NEWSLETTER:
                raise ValueError("e-mails of a mailing are sent in batches")
