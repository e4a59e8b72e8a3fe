"""Drafts a claimed e-mail, whatever its kind."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.common.db.mail.emails import EmailClaim
from services.common.infra.tokens import Tokens
from services.mailer.content.models import Draft
from services.mailer.content.order_emails import Links, draft_order_email
from services.mailer.content.subscriber_emails import draft_confirmation, draft_goodbye


@dataclass(frozen=True)
class Drafting:
    """What drafts are made from, besides rows."""

    tokens: Tokens
    public_url: str | None
    capacity: int
    """Bytes of the largest archive that is attached."""

    def __call__(self, session: Session, claim: EmailClaim) -> Draft | None:
        """The e-mail's draft; None if it is not wanted any more."""
        match claim.kind:
            case "ORDER_READY":
                links = Links(self.tokens, self.public_url)
                return draft_order_email(session, claim, capacity=self.capacity, links=links)
            case "CONFIRM":
                return draft_confirmation(session, claim, tokens=self.tokens, public_url=self.public_url)
            case "GOODBYE":
                return draft_goodbye(session, claim, public_url=self.public_url)
            case kind:
                raise ValueError(f"no e-mail of kind {kind}")
