"""Statements about operator jobs: inserted by the gateway, claimed and finished by a mailer, then deleted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import OperatorJob
from services.common.domain.mail import OperatorJobState
from services.common.infra.messaging.messages import OperatorJobKind

ABANDONED_SECONDS = 600
"""A job is deleted when it is so old, even if its caller did not: its request may contain an address."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What an operator asks for."""

    kind: OperatorJobKind
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobAnswer:
    """The result of a job; of one that was refused, `message` is the reason."""

    refused: bool
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """Whether a mailer has claimed a job, and its answer once there is one."""

    claimed: bool
    answer: JobAnswer | None = None


def insert_job(session: Session, kind: OperatorJobKind, request: Mapping[str, Any]) -> UUID:
    """Insert a job and return its id, to enqueue after the commit."""
    job_id = uuid4()
    values = {"id": job_id, "kind": kind, "request": json.dumps(request), "state": OperatorJobState.QUEUED}
    session.execute(insert(OperatorJob).values(**values, created_at=now()))
    return job_id


def delete_abandoned(session: Session) -> None:
    """Delete jobs whose callers ended without deleting them."""
    session.execute(delete(OperatorJob).where(OperatorJob.created_at < now() - ABANDONED_SECONDS * SECOND))


def claim_job(session: Session, job_id: UUID) -> JobRequest | None:
    """Claim a job; None if another mailer has, or its caller waits no longer."""
    row = session.execute(
        update(OperatorJob)
        .where(OperatorJob.id == job_id, OperatorJob.state == OperatorJobState.QUEUED)
        .values(state=OperatorJobState.RUNNING)
        .returning(OperatorJob.kind, OperatorJob.request)
    ).one_or_none()
    return JobRequest(kind=OperatorJobKind(row.kind), values=json.loads(row.request)) if row else None


def finish_job(session: Session, job_id: UUID, answer: JobAnswer) -> None:
    """Store the answer of a job."""
    state = OperatorJobState.REFUSED if answer.refused else OperatorJobState.DONE
    session.execute(
        update(OperatorJob).where(OperatorJob.id == job_id).values(state=state, answer=json.dumps(answer.values))
    )


def get_status(session: Session, job_id: UUID) -> JobStatus:
    """Return whether a job was claimed, and its answer."""
    row = session.execute(select(OperatorJob.state, OperatorJob.answer).where(OperatorJob.id == job_id)).one_or_none()
    if row is None or row.state == OperatorJobState.QUEUED:
        return JobStatus(claimed=False)
    if row.answer is None:
        return JobStatus(claimed=True)
    answer = JobAnswer(refused=row.state == OperatorJobState.REFUSED, values=json.loads(row.answer))
    return JobStatus(claimed=True, answer=answer)


def delete_job(session: Session, job_id: UUID) -> bool:
    """Delete a job when its caller waits no longer; return whether no mailer had claimed it."""
    state = session.scalar(delete(OperatorJob).where(OperatorJob.id == job_id).returning(OperatorJob.state))
    return state == OperatorJobState.QUEUED
