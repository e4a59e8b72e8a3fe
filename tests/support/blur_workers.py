"""Blur workers over real child processes, blobs, broker and database: one without Dramatiq, one for instant calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq

from services.blur_worker.actors import register_instant
from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.head_start.prepared import PreparedImages
from services.blur_worker.images.attempt import AttemptImage
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.leases import RenewImageLeases
from services.blur_worker.images.result_limit import ResultLimit
from services.blur_worker.images.targets import Targets
from services.blur_worker.instant.answer_call import AnswerCall
from services.blur_worker.instant.direct_listener import DirectListener
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messaging import broker
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import INSTANT_QUEUE
from services.common.infra.places import Places
from services.common.use_cases.order_lifecycle import make_lifecycle

LIMITS = ChildLimits(seconds=60, memory_mb=2048, max_pixels=1_000_000)


@contextmanager
def blur_worker(
    database: Database,
    blobs: BlobStore,
    queues: Broker,
    children: ChildPool,
    folder: Path,
    *,
    window: int,
    prepared: PreparedImages | None = None,
) -> Iterator[BlurImage]:
    """The use case; its scratch folder is made in `folder`, which has to exist."""
    leases, scratch = Leases(RenewImageLeases(database)), ScratchFolder(folder)
    targets = Targets(database=database, blobs=blobs, places=Places({}), scratch=scratch.path)
    leases.start()
    try:
        yield BlurImage(
            database=database,
            blobs=blobs,
            attempt=AttemptImage(
                blobs=blobs,
                children=children,
                scratch=scratch,
                targets=targets,
                result_limit=ResultLimit(database=database, max_order_bytes=1 << 30),
                prepared=prepared,
            ),
            leases=leases,
            lifecycle=make_lifecycle(database, blobs, queues, window=window, announce_changed=queues.announce),
            window=window,
        )
        assert [path.name for path in scratch.path.iterdir()] == ["lock"], "working files are left"
        assert not leases._held
    finally:
        leases.stop()
        scratch.close()


@contextmanager
def instant_worker(
    url: str, children: ChildPool, blob_url: str = "", *, direct: bool = False
) -> Iterator[dramatiq.Worker]:
    """Answers instant calls; without blobs, only those that carry their image."""
    queues = broker.connect(url, INSTANT_QUEUE)
    scratch = ScratchFolder()
    blobs = BlobStore(blob_url or str(scratch.path))
    listener = DirectListener(scratch.path, 1)
    answer_call = AnswerCall(broker=queues, listener=listener, children=children, blobs=blobs, scratch=scratch)
    register_instant(queues, answer_call)
    if direct:
        listener.start(answer_call.answer_directly)
    worker = dramatiq.Worker(queues, worker_threads=1)
    worker.start()
    try:
        yield worker
    finally:
        listener.refuse_more()
        worker.stop()
        listener.join()
        scratch.close()
        queues.client.close()
