"""Uploads under way, requests that are repeated, and what becomes of blobs that no order owns."""

from typing import Literal
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.models import UnownedBlobs
from services.common.db.orders import idempotency, unowned_blobs
from services.common.db.orders.idempotency import IdempotentRequest
from services.common.domain.errors import InvalidArgument
from tests.integration.db.states.picking import nth, which
from tests.integration.db.states.rows import empty

State = Literal["UPLOADING", "SILENT", "OWNED", "REMOVING", "REMOVED_ONCE", "DUE_AGAIN", "GONE"]
PAST = 1


class UploadMachine(RuleBasedStateMachine):
    """Rules about uploads: each blob is an order's, or a row leads to it until it is removed."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        empty(database)
        self.database = database
        self.uploads: dict[UUID, State] = {}
        self.answers: dict[tuple[int, str], UUID] = {}

    @rule()
    def begin(self) -> None:
        order_id = uuid4()
        with self.database.write() as session:
            unowned_blobs.insert_upload(session, order_id)
        self.uploads[order_id] = "UPLOADING"

    @precondition(lambda self: self.uploads)
    @rule(index=which)
    def heartbeat(self, index: int) -> None:
        order_id = nth(list(self.uploads), index)
        with self.database.write() as session:
            unowned_blobs.renew_upload(session, order_id)
        self._move(order_id, {"SILENT": "UPLOADING"})

    @precondition(lambda self: self.uploads)
    @rule(index=which)
    def falls_silent(self, index: int) -> None:
        order_id = nth(list(self.uploads), index)
        alive = (UnownedBlobs.order_id == order_id, UnownedBlobs.state == "UPLOADING")
        with self.database.write() as session:
            session.execute(update(UnownedBlobs).where(*alive).values(heartbeat_at=PAST))
        self._move(order_id, {"UPLOADING": "SILENT"})

    @precondition(lambda self: self.uploads)
    @rule(index=which)
    def adopt(self, index: int) -> None:
        order_id = nth(list(self.uploads), index)
        with self.database.write() as session:
            adopted = unowned_blobs.adopt_blobs(session, order_id)
        assert adopted == self._move(order_id, {"UPLOADING": "OWNED", "SILENT": "OWNED"})

    @precondition(lambda self: self.uploads)
    @rule(index=which)
    def abandon(self, index: int) -> None:
        """The call has failed, perhaps after its commit."""
        order_id = nth(list(self.uploads), index)
        with self.database.write() as session:
            abandoned = unowned_blobs.mark_upload_failed(session, order_id)
        assert abandoned == self._move(order_id, {"UPLOADING": "REMOVING", "SILENT": "REMOVING"})

    @precondition(lambda self: "OWNED" in self.uploads.values())
    @rule(index=which, twice=st.booleans())
    def order_goes(self, index: int, twice: bool) -> None:
        order_id = nth([key for key, state in self.uploads.items() if state == "OWNED"], index)
        for _ in range(1 + twice):
            with self.database.write() as session:
                unowned_blobs.mark_for_removal(session, order_id)
        self.uploads[order_id] = "REMOVING"

    @precondition(lambda self: "REMOVED_ONCE" in self.uploads.values())
    @rule(index=which)
    def grows_late(self, index: int) -> None:
        """Nobody can be at work on the order any longer."""
        order_id = nth([key for key, state in self.uploads.items() if state == "REMOVED_ONCE"], index)
        with self.database.write() as session:
            session.execute(update(UnownedBlobs).where(UnownedBlobs.order_id == order_id).values(check_again_at=PAST))
        self.uploads[order_id] = "DUE_AGAIN"

    @rule(removes=st.booleans())
    def sweep(self, removes: bool) -> None:
        """The sweep may be killed before the blobs are removed."""
        for order_id in self.uploads:
            self._move(order_id, {"SILENT": "REMOVING"})
        with self.database.write() as session:
            given_up = unowned_blobs.list_removable(session, silent_seconds=3600, limit=99)
        assert set(given_up) == {key for key, state in self.uploads.items() if state in {"REMOVING", "DUE_AGAIN"}}
        for order_id in given_up if removes else ():
            with self.database.write() as session:
                unowned_blobs.mark_removed(session, order_id)
            self._move(order_id, {"REMOVING": "REMOVED_ONCE", "DUE_AGAIN": "GONE"})

    @rule(number=st.integers(1, 3), fingerprint=st.sampled_from("ab"))
    def request(self, number: int, fingerprint: str) -> None:
        """A request id is answered as it was the first time, and only for what it asked for then."""
        answer = uuid4()
        known = {name: first for (n, name), first in self.answers.items() if n == number}
        try:
            with self.database.write() as session:
                request = IdempotentRequest(
                    principal="me", method="BlurOrder", request_id=UUID(int=number), fingerprint=fingerprint
                )
                earlier = idempotency.insert_answer(session, request, answer)
        except InvalidArgument:
            assert known
            assert fingerprint not in known
        else:
            assert earlier == known.get(fingerprint)
            assert earlier or not known
            self.answers.setdefault((number, fingerprint), answer)

    @invariant()
    def rows_lead_to_all_that_nobody_owns(self) -> None:
        with self.database.read() as session:
            states = {row.order_id: _state(row) for row in session.scalars(select(UnownedBlobs))}
        assert states == {key: state for key, state in self.uploads.items() if state not in {"OWNED", "GONE"}}

    def _move(self, order_id: UUID, arrows: dict[State, State]) -> bool:
        state = self.uploads[order_id]
        self.uploads[order_id] = arrows.get(state, state)
        return state in arrows


def _state(row: UnownedBlobs) -> State:
    match row.state:
        case "UPLOADING":
            return "SILENT" if row.heartbeat_at == PAST else "UPLOADING"
        case "REMOVING":
            return "REMOVING"
        case _:
            return "DUE_AGAIN" if row.check_again_at == PAST else "REMOVED_ONCE"
