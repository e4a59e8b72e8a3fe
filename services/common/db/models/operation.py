"""The installation, paused queues, the workers that serve queues, and the models that they have."""

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.common.db.models.base import Base, one_of
from services.common.domain.spec import FindingKind


class Installation(Base):
    """One row: when this database was created. No mailing is due for a time before it."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    installed_at: Mapped[int]


class ActivitySummary(Base):
    """What happened in a span of time (`activity_summaries.LEVELS`); spans in which nothing did have no row."""

    __tablename__ = "activity_summaries"

    span: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Microseconds, like all times."""
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    counts: Mapped[str]
    """A `Point` as JSON."""


class ActivityProgress(Base):
    """One row: from when until when minutes are summarised."""

    __tablename__ = "activity_progress"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[int]
    until: Mapped[int]


class PausedQueue(Base):
    """A queue from which workers take no messages."""

    __tablename__ = "paused_queues"

    queue: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[int]
    paused_by: Mapped[str]


class WorkerSeen(Base):
    """A queue that a worker process serves, and when the worker last reported that it runs."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    slots: Mapped[int]
    """Messages that it handles at a time: children of a blur worker, threads of a mailer."""
    busy: Mapped[int]
    started_at: Mapped[int]
    seen_at: Mapped[int]
    warnings: Mapped[str | None]
    """What its settings lack: a JSON array of `[code, detail, message]`."""


class FindModelSeen(Base):
    """A model that finds something, and when a worker last reported that it has it."""

    __tablename__ = "find_models"
    __table_args__ = (one_of("kind", FindingKind),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    license: Mapped[str]
    labels: Mapped[str]
    """A JSON array of strings."""
    last_seen_at: Mapped[int]
