"""Requests for results by mail, and e-mails, beside all that happens to their orders."""

from collections import Counter
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.mail.emails import EmailClaim, SendDecision
from services.common.db.models import Email
from services.common.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Reason
from services.common.domain.orders import ImageQueue
from services.common.infra.blobs import BlobStore
from services.gateway.orders.delivery_requests import DeliveryRequest
from tests.integration.db.states.invariants import DELIVERY, EMAIL, ORDER, open_in
from tests.integration.db.states.order_machine import LEASE, PAST, OrderMachine
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import read_rows


class MailMachine(OrderMachine):
    """Rules about deliveries and e-mails, added to those about orders."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        super().__init__(database, blobs)
        self.email_claims: list[EmailClaim] = []
        self.sent: Counter[UUID] = Counter()
        self.answers: dict[int, tuple[UUID, bool, UUID]] = {}

    @initialize(count=st.integers(1, 2))
    def begin_with_a_email(self, count: int) -> None:
        self.place(list(ImageQueue)[:count], notify=True)
        self.work_off_images()

    @precondition(lambda self: self.broker.images)
    @rule()
    def work_off(self) -> None:
        """Orders end sooner than by chance, so that there are e-mails."""
        self.work_off_images()

    @precondition(lambda self: self.orders)
    @rule(index=which, when_ready=st.booleans(), request=st.none() | st.integers(1, 3))
    def ask(self, index: int, when_ready: bool, request: int | None) -> None:
        """Ask for the results by mail, perhaps under a request id that was used before."""
        order_id = nth(self.orders, index)
        state = self.rows.orders[order_id].state
        request_id = UUID(int=request) if request else None
        earlier = self.answers.get(request or 0)
        try:
            delivery, _ = self.request_delivery(
                DeliveryRequest(order_id=order_id, principal="test", request_id=request_id, when_ready=when_ready)
            )
        except InvalidArgument:
            assert earlier
            assert earlier[:2] != (order_id, when_ready), "a repeat is taken for another request"
        except NotFound:
            raise AssertionError("the order is there") from None
        except FailedPrecondition:
            assert state in {"CANCELLED", "EXPIRED"} or (state in {"QUEUED", "RUNNING"} and not when_ready)
        else:
            if earlier:
                assert (order_id, when_ready, delivery.id) == earlier, "a repeat has another answer"
                return
            assert state in {"QUEUED", "RUNNING"} or delivery.state != "WAITING"
            if request:
                self.answers[request] = order_id, when_ready, delivery.id

    @precondition(lambda self: self.broker.emails)
    @rule(index=which, twice=st.booleans())
    def deliver_email(self, index: int, twice: bool) -> None:
        email_id = nth(self.broker.emails, index)
        if not twice:
            self.broker.emails.remove(email_id)
        self._claim_email(email_id)

    @precondition(lambda self: self.rows.emails)
    @rule(index=which)
    def deliver_stray_email(self, index: int) -> None:
        """A message that was sent long ago, for whatever has become of its e-mail."""
        in_order = sorted(self.rows.emails.values(), key=lambda email: (self._age(email.delivery_id), email.part))
        self._claim_email(nth(in_order, index).id)

    @precondition(lambda self: self.email_claims)
    @rule(index=which, outcome=st.sampled_from(["sent", "sent", "failed", "cancelled", "released"]))
    def email_ends(self, index: int, outcome: str) -> None:
        claim = nth(self.email_claims, index)
        held = self._holds(claim)
        with self.database.write() as session:
            match outcome:
                case "sent":
                    recorded = emails.finish_sent(session, claim, smtp_reply="250 ok")
                    self.sent[claim.email_id] += recorded
                case "failed":
                    recorded = emails.finish_failed(
                        session, claim, reason=Reason.MAIL_REFUSED, message="550 no such user"
                    )
                case "cancelled":
                    recorded = emails.finish_cancelled(session, claim)
                case _:
                    recorded = emails.retry_later(session, claim, delay=LEASE, message="451 later")
        assert recorded == held
        assert recorded or read_rows(self.database) == self.rows, "a stale claim has changed something"

    @precondition(lambda self: self.email_claims)
    @rule(index=which, parts=st.integers(1, 3))
    def add_parts(self, index: int, parts: int) -> None:
        claim = nth(self.email_claims, index)
        held = self._holds(claim)
        with self.database.write() as session:
            new = emails.insert_missing_parts(session, claim, parts)
        for email_id in new:
            self.broker.emails.append(email_id)
        assert held or read_rows(self.database) == self.rows, "a stale claim has changed something"

    @precondition(lambda self: self.email_claims)
    @rule(index=which)
    def email_lease_runs_out(self, index: int) -> None:
        owner = nth(self.email_claims, index).owner
        with self.database.write() as session:
            session.execute(update(Email).where(Email.owner == owner).values(lease_until=PAST))

    @precondition(lambda self: self.email_claims)
    @rule(index=which, sends=st.booleans())
    def another_takes_the_email_over(self, index: int, sends: bool) -> None:
        claim = nth(self.email_claims, index)
        self.email_lease_runs_out(index)
        self.all_is_well()
        self.sweep_emails()
        self.all_is_well()
        self._claim_email(claim.email_id)
        self.all_is_well()
        if sends:
            self.email_ends(self.email_claims[::-1].index(claim), "sent")

    @precondition(lambda self: self.email_claims)
    @rule(index=which)
    def extend_email(self, index: int) -> None:
        claim = nth(self.email_claims, index)
        held = self._holds(claim)
        with self.database.write() as session:
            decision = emails.confirm_claim(session, claim, lease_seconds=LEASE)
        assert decision is (SendDecision.SEND if held else SendDecision.LOST)
        assert held or read_rows(self.database) == self.rows, "a stale claim has changed something"

    @precondition(lambda self: self.email_claims)
    @rule(index=which)
    def take_email_back(self, index: int) -> None:
        claim = nth(self.email_claims, index)
        lapsed = self._holds(claim) and self.rows.emails[claim.email_id].lease_until == PAST
        with self.database.write() as session:
            assert emails.release_expired(session, claim) == lapsed
        assert lapsed or read_rows(self.database) == self.rows, "a live claim was taken back"

    @rule()
    def sweep_emails(self) -> None:
        self.sweep.emails()

    def work_once(self) -> None:
        super().work_once()
        self.sweep_emails()
        self.all_is_well()
        while self.broker.emails:
            self.deliver_email(0, twice=False)
            self.all_is_well()
            if self.email_claims:
                self.email_ends(0, "sent")
                self.all_is_well()

    def check_the_end(self) -> None:
        super().check_the_end()
        assert not any(open_in(EMAIL, email) for email in self.rows.emails.values()), "an e-mail never ends"
        assert not any(open_in(DELIVERY, delivery) for delivery in self.rows.deliveries.values())
        assert not any(open_in(ORDER, order) for order in self.rows.orders.values())
        assert all(count == 1 for count in self.sent.values() if count), "an e-mail was recorded as sent twice"

    def _claim_email(self, email_id: UUID) -> None:
        row = self.rows.emails.get(email_id)
        sent = row is not None and row.state == "QUEUED" and row.enqueued_at is not None
        with self.database.write() as session:
            claim = emails.claim_email(session, email_id, lease_seconds=LEASE)
        assert (claim is not None) == sent
        if claim:
            for late in [earlier for earlier in self.email_claims if earlier.email_id == email_id]:
                with self.database.write() as session:
                    assert not emails.finish_sent(session, late, smtp_reply="250 ok"), "a lost claim is recorded"
            self.email_claims.append(claim)

    def _holds(self, claim: EmailClaim) -> bool:
        row = self.rows.emails.get(claim.email_id)
        return row is not None and row.owner == claim.owner

    def _age(self, delivery_id: UUID) -> int:
        return int(self.rows.deliveries[delivery_id].requested_at)
