"""Mailings: batches claimed, e-mails that end in any way, mailers that die, recipients that leave, in any order."""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.mail import batches, emails, mailings, subscribers
from services.common.db.mail.batches import Batch, Recipient
from services.common.db.mail.emails import SendDecision
from services.common.db.models import Email, Mailing
from services.common.db.queues import outbox
from services.common.domain.errors import Reason
from tests.integration.db.states.invariants import EMAIL, check_step
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import Row, empty, read_rows

LEASE = 3600.0
"""Longer than any test: time passes only where a rule says so."""


class MailingMachine(RuleBasedStateMachine):
    """Rules about one mailing."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        empty(database)
        self.database = database
        self.cancelled = False
        self.paused = False
        self.held: list[tuple[Batch, Recipient]] = []
        """Claims that mailers believe to have, some of them in vain."""
        self.handed: set[UUID] = set()
        """E-mails that were given to the mail server."""
        self.rows = read_rows(database)

    @initialize(recipients=st.integers(1, 7))
    def begin(self, recipients: int) -> None:
        with self.database.write() as session:
            for number in range(recipients):
                address = f"{number}@example.org"
                subscribers.subscribe(session, email=address, email_key=address, locale="en", confirm=False)
            mailing_id = mailings.insert_mailing(session, period="2026-W48", due_at=1, content="{}")
        assert mailing_id
        self.mailing_id = mailing_id

    @rule(size=st.integers(1, 3))
    def claim(self, size: int) -> None:
        with self.database.write() as session:
            batch = batches.claim_batch(session, self.mailing_id, size=size, lease_seconds=LEASE)
        assert not (batch and (self.cancelled or self.paused))
        if batch:
            assert len(batch.recipients) <= size
            self.held += [(batch, recipient) for recipient in batch.recipients]

    @precondition(lambda self: self.held)
    @rule(index=which, outcome=st.sampled_from(["sent", "sent", "bounced", "released", "dies after handing over"]))
    def send(self, index: int, outcome: str) -> None:
        batch, recipient = self.held.pop(index % len(self.held))
        row = self._email(recipient)
        held = row is not None and row.owner == batch.owner
        confirmed = held and self._recipient(recipient).state == "CONFIRMED"
        later = confirmed and self.paused
        wanted = confirmed and not self.cancelled and not self.paused
        with self.database.write() as session:
            decision = batches.confirm_claim(session, recipient.claim, lease_seconds=LEASE)
            if decision is SendDecision.NOT_WANTED:
                assert emails.finish_cancelled(session, recipient.claim)
            if decision is SendDecision.LATER:
                assert emails.postpone(session, recipient.claim, delay=0, message="the mailing is paused")
        if later:
            assert decision is SendDecision.LATER
            return
        assert decision is (SendDecision.SEND if wanted else SendDecision.NOT_WANTED if held else SendDecision.LOST)
        if decision is not SendDecision.SEND:
            return
        with self.database.write() as session:
            match outcome:
                case "sent":
                    assert emails.finish_sent(session, recipient.claim, smtp_reply="250 ok")
                    self.handed.add(recipient.claim.email_id)
                case "bounced":
                    assert recipient.claim.subscriber_id
                    subscribers.suppress(session, recipient.claim.subscriber_id, "550 5.1.1 no such user")
                    assert emails.finish_failed(
                        session, recipient.claim, reason=Reason.MAIL_REFUSED, message="550 5.1.1 no such user"
                    )
                case "released":
                    assert emails.retry_later(session, recipient.claim, delay=0, message="451 later")
                case _:
                    self.handed.add(recipient.claim.email_id)

    @precondition(lambda self: self.held)
    @rule(index=which)
    def give_back(self, index: int) -> None:
        batch, _ = nth(self.held, index)
        rest = [recipient for of, recipient in self.held if of is batch]
        self.held = [(of, recipient) for of, recipient in self.held if of is not batch]
        with self.database.write() as session:
            batches.return_unsent(session, batch, rest)

    @rule()
    def leases_run_out(self) -> None:
        with self.database.write() as session:
            session.execute(update(Email).where(Email.state == "SENDING").values(lease_until=1))
        self.sweep()

    @precondition(lambda self: self.rows.subscribers)
    @rule(index=which)
    def unsubscribe(self, index: int) -> None:
        recipients = sorted(self.rows.subscribers.values(), key=lambda row: str(row.email))
        with self.database.write() as session:
            subscribers.unsubscribe(session, subscriber_id=nth(recipients, index).id)

    @precondition(lambda self: self.held)
    @rule(index=which)
    def unsubscribe_whose_email_is_next(self, index: int) -> None:
        """What takes long to come about by chance."""
        index %= len(self.held)
        with self.database.write() as session:
            subscribers.unsubscribe(session, subscriber_id=self.held[index][1].claim.subscriber_id)
        self.all_is_well()
        self.send(index, "sent")

    @rule()
    def the_server_is_in_trouble(self) -> None:
        with self.database.write() as session:
            mailings.pause_mailing(session, self.mailing_id, "421 busy")
        with self.database.write() as session:
            assert batches.claim_batch(session, self.mailing_id, size=3, lease_seconds=LEASE) is None
            session.execute(update(Mailing).values(not_before=0))

    @rule()
    def pause(self) -> None:
        with self.database.write() as session:
            self.paused = mailings.pause(session, self.mailing_id)

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        with self.database.write() as session:
            assert mailings.resume(session, self.mailing_id)
        self.paused = False

    @rule(really=st.integers(0, 9))
    def cancel(self, really: int) -> None:
        if really == 0:
            with self.database.write() as session:
                cancelled = mailings.cancel_mailing(session, self.mailing_id)
                assert cancelled or self._mailing().state not in {"SENDING", "PREPARING"}
                self.cancelled = self.cancelled or cancelled
                self.paused = self.paused and not cancelled

    @rule()
    def sweep(self) -> None:
        with self.database.read() as session:
            lapsed = outbox.list_expired_email_claims(session, limit=99)
        for claim in lapsed:
            with self.database.write() as session:
                emails.release_expired(session, claim)
        with self.database.write() as session:
            assert not outbox.enqueue_due_emails(session, limit=99), "e-mails of mailings have no messages of their own"
            mailings.finish_mailings(session)

    @invariant()
    def all_is_well(self) -> None:
        before, self.rows = self.rows, read_rows(self.database)
        check_step(before, self.rows)
        of = [email.subscriber_id for email in self.rows.emails.values()]
        assert len(set(of)) == len(of), "a recipient has two e-mails of one mailing"
        for email in self.rows.emails.values():
            assert (email.owner is not None) == (email.state == "SENDING")
            assert email.attempts >= 0

    def teardown(self) -> None:
        """Whatever has happened: with mailers that work, every recipient is reached and the mailing ends."""
        if not hasattr(self, "mailing_id"):
            return
        if self.paused:
            self.resume()
        self.leases_run_out()
        for _ in range(20):
            self.claim(3)
            while self.held:
                self.all_is_well()
                self.send(0, "sent")
        self.sweep()
        self.all_is_well()
        assert self._mailing().state == ("CANCELLED" if self.cancelled else "DONE")
        assert not any(EMAIL[email.state] for email in self.rows.emails.values()), "an e-mail never ends"
        if not self.cancelled:
            reached = {email.subscriber_id for email in self.rows.emails.values() if email.state == "SENT"}
            confirmed = {row.id for row in self.rows.subscribers.values() if row.state == "CONFIRMED"}
            assert confirmed <= reached, "a recipient was left out"

    def _email(self, recipient: Recipient) -> Row | None:
        return read_rows(self.database).emails.get(recipient.claim.email_id)

    def _recipient(self, recipient: Recipient) -> Row:
        assert recipient.claim.subscriber_id
        return read_rows(self.database).subscribers[recipient.claim.subscriber_id]

    def _mailing(self) -> Mailing:
        with self.database.read() as session:
            return session.get_one(Mailing, self.mailing_id)
