"""Statements about the models that workers have: workers announce them, so that gateways know what can be found."""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import FindModelSeen, Order
from services.common.db.upsert import insert_or_update
from services.common.domain.findings import FindModel
from services.common.domain.spec import Find, FindingKind

AVAILABLE_SECONDS = 7 * 24 * 3600
"""A model counts as available for so long after a worker had it: restarts and failures of workers refuse no orders."""

RECENT_SECONDS = 600
"""A worker announces its models once a minute: what nobody has announced for so long, no worker has now."""
WAIT_SECONDS = 3600
"""How long an order waits for a worker that has all models that an image needs."""


def announce(session: Session, models: Sequence[FindModel]) -> None:
    """Record that a worker has these models now."""
    # In one order, or two workers could deadlock.
    for model in sorted(models, key=lambda model: (model.kind, model.name)):
        values = {
            "kind": model.kind,
            "name": model.name,
            "version": model.version,
            "license": model.license,
            "labels": json.dumps(model.labels),
            "last_seen_at": now(),
        }
        insert_or_update(session, FindModelSeen, values)


def list_available(session: Session, *, within_seconds: int = AVAILABLE_SECONDS) -> list[FindModel]:
    """Return the models that some worker has had within so many seconds, by kind and name."""
    query = (
        select(FindModelSeen)
        .where(FindModelSeen.last_seen_at > now() - within_seconds * SECOND)
        .order_by(FindModelSeen.kind, FindModelSeen.name)
    )
    return [
        FindModel(
            kind=FindingKind(row.kind),
            name=row.name,
            version=row.version,
            license=row.license,
            labels=tuple(json.loads(row.labels)),
        )
        for row in session.scalars(query)
    ]


def may_wait(session: Session, order_id: UUID, finds: Sequence[Find]) -> bool:
    """Return whether an image that a worker lacks models for may wait for another worker.

    It may not if no worker has one of the models, or if its order has waited for too long: perhaps no worker has all.
    """
    recent = {(model.kind, model.name) for model in list_available(session, within_seconds=RECENT_SECONDS)}
    if any(not _has(recent, find) for find in finds):
        return False
    young = select(Order.id).where(Order.id == order_id, Order.created_at > now() - WAIT_SECONDS * SECOND)
    return session.scalar(young) is not None


def _has(models: Collection[tuple[FindingKind, str]], find: Find) -> bool:
    return any(kind == find.kind and find.model in {"", name} for kind, name in models)
