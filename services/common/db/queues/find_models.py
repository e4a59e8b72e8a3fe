"""Statements about the models that workers have: workers announce them, so that gateways know what can be found."""

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import FindModelSeen
from services.common.db.upsert import insert_or_update
from services.common.domain.findings import FindModel
from services.common.domain.spec import FindingKind

AVAILABLE_SECONDS = 7 * 24 * 3600
"""A model counts as available for so long after a worker had it: restarts and failures of workers refuse no orders."""


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
