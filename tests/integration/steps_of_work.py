"""A worker and a sweep without processes around them: what a service would do, one step at a time."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.images.blur_image import BlurImage
from services.common.db.engine import Database
from services.common.db.models import Image
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE
from services.scheduler.sweep import Sweep
from tests.support.blur_workers import blur_worker

WINDOW = 2


MakeWorker = Callable[[Database, BlobStore], AbstractContextManager[BlurImage]]


@pytest.fixture
def worker(queues: Broker, children: ChildPool, tmp_path: Path) -> MakeWorker:
    """Makes blur workers, which share a child process."""

    return lambda database, blobs: blur_worker(database, blobs, queues, children, tmp_path, window=WINDOW)


def work_off(blur: BlurImage) -> None:
    """Let time pass for what waits, sweep, and do what is in the queue, until there is nothing."""
    broker = blur.lifecycle.after_commit.broker
    sweep = Sweep(blur.database, blur.blobs, broker, window=WINDOW)
    done: set[str] = set()
    while True:
        with blur.database.write() as session:
            session.execute(update(Image).where(Image.enqueued_at.is_not(None)).values(enqueued_at=1))
            session.execute(update(Image).where(Image.lease_until.is_not(None)).values(lease_until=1))
            session.execute(update(Image).where(Image.not_before.is_not(None)).values(not_before=1))
        sweep.images()
        new = set(broker.subjects(BLUR_QUEUE)) - done
        if not new:
            return
        for image_id in new:
            blur(UUID(image_id))
        # Nobody acknowledges here; a message about what is done does no harm.
        done |= new
