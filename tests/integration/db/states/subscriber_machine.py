"""Subscriptions: asked for, confirmed with tokens new and old, ended, in any order."""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import update

from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.db.models import Subscriber
from tests.integration.db.states.invariants import check_step
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import empty, read_rows

addresses = st.sampled_from(["a@example.org", "b@example.org"])


class SubscriberMachine(RuleBasedStateMachine):
    """Rules about subscribers."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        empty(database)
        self.database = database
        self.states: dict[str, str] = {}
        self.tokens: list[tuple[str, UUID, int]] = []
        """Address, id and version of each e-mail that asked to confirm."""
        self.asked: set[str] = set()
        """Addresses that were asked to confirm within the hour."""
        self.rows = read_rows(database)

    @rule(address=addresses, confirm=st.booleans())
    def subscribe(self, address: str, confirm: bool) -> None:
        with self.database.write() as session:
            email_id = subscribers.subscribe(session, email=address, email_key=address, locale="en", confirm=confirm)
        stays = self.states.get(address) in {"CONFIRMED", "SUPPRESSED"}
        assert (email_id is not None) == (confirm and not stays and address not in self.asked)
        if not stays:
            self.states[address] = "PENDING" if confirm else "CONFIRMED"
        if email_id:
            self.asked.add(address)
            rows = read_rows(self.database)
            row = rows.subscribers[rows.emails[email_id].subscriber_id]
            self.tokens.append((address, row.id, row.token_version))

    @precondition(lambda self: self.tokens)
    @rule(index=which)
    def confirm(self, index: int) -> None:
        address, subscriber_id, version = nth(self.tokens, index)
        fresh = self.rows.subscribers[subscriber_id].token_version == version
        with self.database.write() as session:
            confirmed = subscribers.confirm(session, subscriber_id, version)
        assert confirmed == (fresh and self.states[address] in {"PENDING", "CONFIRMED"})
        if confirmed:
            if self.states[address] == "CONFIRMED":
                assert read_rows(self.database) == self.rows, "a repeat has changed something"
            self.states[address] = "CONFIRMED"

    @rule(address=addresses)
    def unsubscribe(self, address: str) -> None:
        state = self.states.get(address)
        with self.database.write() as session:
            goodbye = subscribers.unsubscribe(session, email_key=address)
        assert (goodbye is not None) == (state == "CONFIRMED"), "a goodbye for each subscription that was ended"
        if state == "CONFIRMED":
            self.asked.discard(address)
        if state in {"PENDING", "CONFIRMED"}:
            self.states[address] = "UNSUBSCRIBED"
        with self.database.write() as session:
            for of, subscriber_id, version in self.tokens:
                assert of != address or not subscribers.confirm(session, subscriber_id, version), "an old token works"

    @precondition(lambda self: self.rows.subscribers)
    @rule(index=which)
    def bounces(self, index: int) -> None:
        row = nth(sorted(self.rows.subscribers.values(), key=lambda row: str(row.email)), index)
        with self.database.write() as session:
            subscribers.suppress(session, row.id, "550 5.1.1 no such user")
        self.states[row.email] = "SUPPRESSED"

    @rule(address=addresses)
    def lift(self, address: str) -> None:
        with self.database.write() as session:
            assert subscribers.lift_suppression(session, address) == (self.states.get(address) == "SUPPRESSED")
        if self.states.get(address) == "SUPPRESSED":
            self.states[address] = "UNSUBSCRIBED"
            self.asked.discard(address)

    @rule()
    def an_hour_passes(self) -> None:
        self.asked.clear()
        with self.database.write() as session:
            asked = Subscriber.confirm_sent_at.is_not(None)
            session.execute(update(Subscriber).where(asked).values(confirm_sent_at=1))

    @invariant()
    def all_is_well(self) -> None:
        before, self.rows = self.rows, read_rows(self.database)
        check_step(before, self.rows)
        assert {row.email: row.state for row in self.rows.subscribers.values()} == self.states
