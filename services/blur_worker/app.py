"""Wires the blur worker: `dramatiq services.blur_worker.app:setup` calls `setup` in each worker process."""

import dramatiq
from dramatiq import Middleware, Worker

from services.blur_worker import metrics
from services.blur_worker.actors import register
from services.blur_worker.child import ChildLimits
from services.blur_worker.children import Children
from services.blur_worker.hints import Hints
from services.blur_worker.scratch import Scratch
from services.blur_worker.settings import BlurWorkerSettings
from services.blur_worker.use_cases import BlurImage, RenewLeases
from services.common.db.engine import Database
from services.common.domain.errors import Unavailable
from services.common.infra import broker, log, tracing
from services.common.infra.blobs import BlobStore
from services.common.infra.leases import Leases
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE
from services.common.infra.metrics import serve as serve_metrics
from services.common.infra.worker_control import WorkerControl

_log = log.get("services.blur_worker")


def setup() -> None:
    """Make broker, actors and what they need; nothing connects or starts before the worker boots."""
    settings = BlurWorkerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    queues = broker.connect(settings.broker_url, BLUR_QUEUE, MAIL_QUEUE)
    database = Database(settings.database_url, pool_size=settings.blur_children + 2)
    children = Children(
        settings.blur_children, ChildLimits(settings.blur_seconds, settings.blur_memory_mb, settings.max_pixels)
    )
    leases = Leases(RenewLeases(database))
    blobs = BlobStore(settings.blob_url)
    # On the blobs' disk: a result becomes a blob by being moved.
    scratch = Scratch(blobs.folder)
    hints = Hints(queues.announce)
    blur_image = BlurImage(
        database, blobs, queues, children, leases, scratch, window=settings.order_window, changed=hints.changed
    )
    register(queues, blur_image)
    queues.add_middleware(_Lifecycle(settings, children, leases, scratch, database))
    queues.add_middleware(hints)
    queues.add_middleware(WorkerControl(database, queues, {BLUR_QUEUE: settings.blur_children}))
    dramatiq.set_broker(queues)


class _Lifecycle(Middleware):
    """Starts what the actors need before the first message, and ends it after the last."""

    def __init__(
        self,
        settings: BlurWorkerSettings,
        children: Children,
        leases: Leases,
        scratch: Scratch,
        database: Database,
    ) -> None:
        self._settings = settings
        self._children = children
        self._leases = leases
        self._scratch = scratch
        self._database = database

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        # First: without leases every image that takes long would be taken back.
        self._leases.start()
        try:
            self._children.warm_up()
        except Unavailable as error:
            _log.warning("a child is started when it is needed", error=str(error))
        tracing.start("blur_worker", self._settings.traces_endpoint)
        metrics.count_children(self._settings.blur_children, self._children.alive)
        serve_metrics("blur_worker", self._settings.metrics_host, self._settings.blur_worker_metrics_port)
        _log.info("ready")

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._children.close()
        self._leases.stop()
        self._scratch.close()
        self._database.close()
        tracing.stop()
