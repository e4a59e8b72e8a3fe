"""Personal data of an address: export and erasure."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import mailboxes, subscribers, suppressions
from services.common.db.operators import personal_data
from services.common.db.orders import uploads
from services.common.domain.errors import NotFound
from services.common.domain.mail import Suppression
from services.common.domain.mailboxes import MailboxHasher
from services.common.use_cases.order_lifecycle import OrderLifecycle

SUBJECT = "people"
"""Subject of audit entries: they never contain the address, which would otherwise survive its erasure."""


@dataclass(frozen=True)
class PersonalData:
    """The use cases of personal data; blocking. An address is stored with orders and with subscribers only.

    A mailbox that has confirmed is stored as a hash.
    """

    database: Database
    lifecycle: OrderLifecycle
    mailboxes: MailboxHasher

    def export(self, audit_context: AuditContext, address: str) -> Iterator[str]:
        """Yield everything stored about an address, except the content of images: one JSON object each."""
        with self.database.write() as session:
            audit.record(session, audit_context, SUBJECT)
        with self.database.read() as session:
            order_ids = personal_data.list_orders(session, address)
            records = personal_data.subscription_records(session, address)
            records += personal_data.confirmation_records(session, self.mailboxes.hashes(address))
            records += personal_data.upload_records(session, self.mailboxes.hashes(address))
            records += personal_data.suppression_records(session, self.mailboxes.address_hashes(address))
        yield from map(_to_json, records)
        for order_id in order_ids:
            with self.database.read() as session:
                records = personal_data.order_records(session, order_id)
            yield from map(_to_json, records)

    def erase(self, audit_context: AuditContext, address: str) -> int:
        """Delete the subscription, confirmation, orders and uploads of an address; return the number of orders."""
        with self.database.write() as session:
            audit.record(session, audit_context, SUBJECT)
            subscriber = subscribers.find(session, address.casefold())
            if subscriber and subscriber.suppression == Suppression.COMPLAINT:
                # As a hash: an import of the address must not bring it back.
                suppressions.suppress(
                    session,
                    self.mailboxes.hash_address(address),
                    Suppression.COMPLAINT,
                    "complained before its erasure",
                )
            personal_data.delete_subscriber(session, address)
            mailboxes.delete_confirmation(session, self.mailboxes.hashes(address))
        with self.database.read() as session:  # reads all orders' addresses: nobody waits for it
            order_ids = personal_data.list_orders(session, address)
            upload_ids = uploads.list_of_mailbox(session, self.mailboxes.hashes(address))
        for upload_id in upload_ids:
            self.lifecycle.delete_upload(upload_id)
        for order_id in order_ids:
            with contextlib.suppress(NotFound):
                self.lifecycle.delete(order_id)
        return len(order_ids)


def _to_json(record: personal_data.Record) -> str:
    return json.dumps(record, ensure_ascii=False)
