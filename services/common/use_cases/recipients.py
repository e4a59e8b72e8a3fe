"""Who gets results by e-mail: otherwise anyone could send pictures and texts of their choice to anyone."""

from collections.abc import Container
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.common.db.mail import mailboxes
from services.common.db.models import Order
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra.settings import RecipientSettings


@dataclass(frozen=True, kw_only=True)
class Recipients:
    """Decides whether results may be sent to an address."""

    hasher: MailboxHasher
    anyone: bool
    """Every address may get them."""
    trusted_principals: Container[str] = ()
    """Their orders may be sent to any address."""

    @classmethod
    def of(cls, settings: RecipientSettings, hasher: MailboxHasher) -> "Recipients":
        """Return what is set."""
        return cls(
            hasher=hasher,
            anyone=settings.unconfirmed_addresses == "results",
            trusted_principals=settings.trusted_principals,
        )

    def may_get_results(self, session: Session, *, address: str, principal: str) -> bool:
        """Return whether an order of this principal may be sent to an address with its results."""
        if self.anyone or principal in self.trusted_principals:
            return True
        return mailboxes.is_confirmed(session, self.hasher.hashes(address), email_key=address.casefold())

    def may_get(self, session: Session, order: Order | None) -> bool:
        """The same for a stored order; True if it has no address, or no longer.

        An address that was given later is as trusted as who gave it: a link to an order is enough to give one.
        """
        if order is None or order.email is None:
            return True
        principal = order.email_principal or order.principal
        return self.may_get_results(session, address=order.email, principal=principal)
