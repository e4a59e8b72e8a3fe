"""Statements about what operators ask of the mailers: asked, taken up once, answered, fetched."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import OperatorJob
from services.common.infra.messages import OperatorJobKind

FORGOTTEN_SECONDS = 600
"""An operator job whose asker has gone is kept so long: it may name an address."""


@dataclass(frozen=True)
class Task:
    """What is to be done."""

    kind: OperatorJobKind
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came of it; of a refusal the words why."""

    refused: bool
    values: Mapping[str, Any]


def ask(session: Session, kind: OperatorJobKind, request: Mapping[str, Any]) -> UUID:
    """Write down an operator job, to be enqueued after the commit; its id."""
    operator_job_id = uuid4()
    values = {"id": operator_job_id, "kind": kind, "request": json.dumps(request), "state": "QUEUED"}
    session.execute(insert(OperatorJob).values(**values, created_at=now()))
    return operator_job_id


def forget_old(session: Session) -> None:
    """Drop operator jobs whose askers have gone without withdrawing them."""
    session.execute(delete(OperatorJob).where(OperatorJob.created_at < now() - FORGOTTEN_SECONDS * SECOND))


def take(session: Session, operator_job_id: UUID) -> Task | None:
    """Take an operator job up; None if somebody has, or nobody waits for it any more."""
    row = session.execute(
        update(OperatorJob)
        .where(OperatorJob.id == operator_job_id, OperatorJob.state == "QUEUED")
        .values(state="RUNNING")
        .returning(OperatorJob.kind, OperatorJob.request)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return Task(OperatorJobKind(row.kind), json.loads(row.request)) if row else None


def answer(session: Session, operator_job_id: UUID, values: Mapping[str, Any], *, refused: bool = False) -> None:
    """What came of an operator job."""
    session.execute(
        update(OperatorJob)
        .where(OperatorJob.id == operator_job_id)
        .values(state="REFUSED" if refused else "DONE", answer=json.dumps(values))
        .execution_options(synchronize_session=False)
    )


def fetch(session: Session, operator_job_id: UUID) -> tuple[bool, Answer | None]:
    """Whether an operator job was taken up, and what came of it so far."""
    row = session.execute(
        select(OperatorJob.state, OperatorJob.answer).where(OperatorJob.id == operator_job_id)
    ).one_or_none()
    if row is None or row.state == "QUEUED":
        return False, None
    return True, Answer(row.state == "REFUSED", json.loads(row.answer)) if row.answer is not None else None


def withdraw(session: Session, operator_job_id: UUID) -> bool:
    """Nobody waits any more; whether it was still to be begun, so that nothing came of it."""
    state = session.scalar(delete(OperatorJob).where(OperatorJob.id == operator_job_id).returning(OperatorJob.state))
    return state == "QUEUED"
