"""Statements about what operators ask of the mailers: asked, taken up once, answered, fetched."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Errand
from services.common.infra.messages import ErrandKind

FORGOTTEN_SECONDS = 600
"""An errand whose asker has gone is kept so long: it may name an address."""


@dataclass(frozen=True)
class Task:
    """What is to be done."""

    kind: ErrandKind
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came of it; of a refusal the words why."""

    refused: bool
    values: Mapping[str, Any]


def ask(session: Session, kind: ErrandKind, request: Mapping[str, Any]) -> UUID:
    """Write down an errand, to be enqueued after the commit; its id."""
    errand_id = uuid4()
    values = {"id": errand_id, "kind": kind, "request": json.dumps(request), "state": "QUEUED"}
    session.execute(insert(Errand).values(**values, created_at=now()))
    return errand_id


def forget_old(session: Session) -> None:
    """Drop errands whose askers have gone without withdrawing them."""
    session.execute(delete(Errand).where(Errand.created_at < now() - FORGOTTEN_SECONDS * SECOND))


def take(session: Session, errand_id: UUID) -> Task | None:
    """Take an errand up; None if somebody has, or nobody waits for it any more."""
    row = session.execute(
        update(Errand)
        .where(Errand.id == errand_id, Errand.state == "QUEUED")
        .values(state="RUNNING")
        .returning(Errand.kind, Errand.request)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return Task(ErrandKind(row.kind), json.loads(row.request)) if row else None


def answer(session: Session, errand_id: UUID, values: Mapping[str, Any], *, refused: bool = False) -> None:
    """What came of an errand."""
    session.execute(
        update(Errand)
        .where(Errand.id == errand_id)
        .values(state="REFUSED" if refused else "DONE", answer=json.dumps(values))
        .execution_options(synchronize_session=False)
    )


def fetch(session: Session, errand_id: UUID) -> tuple[bool, Answer | None]:
    """Whether an errand was taken up, and what came of it so far."""
    row = session.execute(select(Errand.state, Errand.answer).where(Errand.id == errand_id)).one_or_none()
    if row is None or row.state == "QUEUED":
        return False, None
    return True, Answer(row.state == "REFUSED", json.loads(row.answer)) if row.answer is not None else None


def withdraw(session: Session, errand_id: UUID) -> bool:
    """Nobody waits any more; whether it was still to be begun, so that nothing came of it."""
    state = session.scalar(delete(Errand).where(Errand.id == errand_id).returning(Errand.state))
    return state == "QUEUED"
