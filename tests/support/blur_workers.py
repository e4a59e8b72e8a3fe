"""A blur worker without Dramatiq: its use case over real child processes, blobs, broker and database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.blur_worker.attempt import AttemptImage
from services.blur_worker.blur_image import BlurImage
from services.blur_worker.child_pool import ChildPool
from services.blur_worker.child_process import ChildLimits
from services.blur_worker.leases import RenewImageLeases
from services.blur_worker.scratch_folder import ScratchFolder
from services.blur_worker.targets import Targets
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.leases import Leases
from services.common.infra.places import Places
from services.common.use_cases.order_lifecycle import make_lifecycle

LIMITS = ChildLimits(seconds=60, memory_mb=2048, max_pixels=1_000_000)


@contextmanager
def blur_worker(
    database: Database, blobs: BlobStore, queues: Broker, children: ChildPool, folder: Path, *, window: int
) -> Iterator[BlurImage]:
    """The use case; its scratch folder is made in `folder`, which has to exist."""
    leases, scratch = Leases(RenewImageLeases(database)), ScratchFolder(folder)
    targets = Targets(database=database, blobs=blobs, places=Places({}), scratch=scratch.path)
    leases.start()
    try:
        yield BlurImage(
            database=database,
            blobs=blobs,
            attempt=AttemptImage(blobs=blobs, children=children, scratch=scratch, targets=targets),
            leases=leases,
            lifecycle=make_lifecycle(database, blobs, queues, window=window, announce_changed=queues.announce),
            window=window,
        )
        assert [path.name for path in scratch.path.iterdir()] == ["lock"], "working files are left"
        assert not leases._held
    finally:
        leases.stop()
        scratch.close()
