"""How a blur worker starts and stops what its actors need."""

from pathlib import Path

import dramatiq
import pytest

from services.blur_worker.app import _Lifecycle
from services.blur_worker.child import ChildLimits
from services.blur_worker.children import Children
from services.blur_worker.scratch import Scratch
from services.blur_worker.settings import BlurWorkerSettings
from services.blur_worker.use_cases import RenewLeases
from services.common.db.engine import Database
from services.common.domain.errors import Unavailable
from services.common.infra.broker import Broker
from services.common.infra.leases import Leases


def test_a_worker_whose_children_start_slowly_keeps_its_leases(
    database: Database, queues: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: Children) -> None:
        raise Unavailable("a blur child does not start: not ready after 60 s")

    monkeypatch.setattr(Children, "warm_up", slow)
    leases = Leases(RenewLeases(database))
    children = Children(1, ChildLimits(seconds=20, memory=2048, max_pixels=1000))
    scratch = Scratch(tmp_path)
    settings = BlurWorkerSettings()
    lifecycle = _Lifecycle(settings, children, leases, scratch, database)
    worker = dramatiq.Worker(queues)
    lifecycle.before_worker_boot(queues, worker)
    assert leases._thread.is_alive()
    lifecycle.after_worker_shutdown(queues, worker)
    assert not leases._thread.is_alive()
    assert not scratch.path.exists()
