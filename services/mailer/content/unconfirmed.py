"""Drafts the e-mail about an order for an address that has not confirmed."""

from sqlalchemy.orm import Session

from services.common.db.clock import to_datetime
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Order
from services.common.domain.orders import OrderState
from services.mailer.content.email_content import Draft, OrderUnconfirmed
from services.mailer.content.order_emails import OrderLinks
from services.mailer.content.subscriber_emails import token_url


def draft_unconfirmed(session: Session, claim: EmailClaim, *, links: OrderLinks) -> Draft | None:
    """Draft the e-mail; None if it is not wanted any more, or for further parts of a delivery."""
    order = session.get(Order, claim.order_id)
    ended = {OrderState.EXPIRED, OrderState.CANCELLED}
    if order is None or order.email is None or order.state in ended or claim.part > 1:
        return None
    token = links.tokens.make("receive", order.id, 0)
    content = OrderUnconfirmed(
        order_id=str(order.id),
        total=order.total,
        succeeded=order.succeeded,
        ordered_at=to_datetime(order.created_at),
        expires_at=to_datetime(order.expires_at),
        token=token,
        url=token_url(links.public_url, "receive", token),
        order_url=links.order(order.id),
    )
    return Draft(to=order.email, locale=order.locale, content=content)
