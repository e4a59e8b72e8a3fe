"""How a blur worker starts and stops what its actors need."""

from pathlib import Path

import dramatiq
import pytest

from services.blur_worker.app import _BlurWorkerLifecycle
from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.images.leases import RenewImageLeases
from services.blur_worker.settings import BlurWorkerSettings
from services.common.db.engine import Database
from services.common.domain.errors import Unavailable
from services.common.infra.leases import Leases
from services.common.infra.messaging.broker import Broker


def test_a_worker_whose_children_start_slowly_keeps_its_leases(
    database: Database, queues: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: ChildPool) -> None:
        raise Unavailable("a child process does not start: not ready after 60 s")

    monkeypatch.setattr(ChildPool, "start", slow)
    leases = Leases(RenewImageLeases(database))
    children = ChildPool(1, ChildLimits(seconds=20, memory_mb=2048, max_pixels=1000))
    scratch = ScratchFolder(tmp_path)
    settings = BlurWorkerSettings()
    lifecycle = _BlurWorkerLifecycle(settings, children, leases, (scratch,), database)
    worker = dramatiq.Worker(queues)
    lifecycle.before_worker_boot(queues, worker)
    assert leases._thread.is_alive()
    lifecycle.after_worker_shutdown(queues, worker)
    assert not leases._thread.is_alive()
    assert not scratch.path.exists()
