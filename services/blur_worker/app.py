"""Wires the blur worker: `setup` sets the broker and registers the actor."""

from dataclasses import replace
from functools import partial

import dramatiq
from dramatiq import Middleware, Worker

from services.blur_worker import metrics
from services.blur_worker.actors import register, register_instant
from services.blur_worker.change_hints import ChangeHints
from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits, FindLimits
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.head_start.listener import HeadStartListener
from services.blur_worker.head_start.prepared import PreparedImages
from services.blur_worker.images.attempt import AttemptImage
from services.blur_worker.images.blur_image import BlurImage
from services.blur_worker.images.fetch_image import FetchImage, FetchLimits
from services.blur_worker.images.leases import RenewImageLeases
from services.blur_worker.images.result_limit import ResultLimit
from services.blur_worker.images.targets import Targets
from services.blur_worker.instant.answer_call import AnswerCall
from services.blur_worker.instant.child_work import InstantResult, run_instant
from services.blur_worker.instant.direct_listener import DirectListener
from services.blur_worker.instant.lifecycle import InstantChildren
from services.blur_worker.settings import BlurWorkerSettings
from services.common.db.engine import Database
from services.common.domain.errors import Unavailable
from services.common.domain.orders import ImageQueue
from services.common.infra import log, tracing
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.head_starts import socket_name
from services.common.infra.leases import Leases
from services.common.infra.messaging import broker
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    INSTANT_QUEUE,
    MAIL_QUEUE,
    WEBHOOK_QUEUE,
)
from services.common.infra.messaging.worker_control import WorkerControl
from services.common.infra.metrics import serve as serve_metrics
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.places import Places
from services.common.infra.process.fork_server import keep_sockets_in, start_no_tracker
from services.common.infra.process.socket_folder import socket_parent
from services.common.use_cases.order_lifecycle import make_lifecycle

ORDER_NICENESS = 10
"""Niceness of children that blur images of orders: they use the CPU time that calls with a waiting caller leave."""

_log = log.get("services.blur_worker")


def setup() -> None:
    """Make the broker, the actor and their dependencies; nothing connects or starts before the worker boots."""
    settings = BlurWorkerSettings.load()
    log.configure(settings.log_level, settings.log_format)
    queues = broker.connect(
        settings.broker_url,
        BLUR_QUEUE,
        FIND_QUEUE,
        FETCH_QUEUE,
        MAIL_QUEUE,
        WEBHOOK_QUEUE,
        most_held={INSTANT_QUEUE: settings.instant_children, FETCH_QUEUE: settings.fetch_threads},
        shared=settings.image_queues,
        most_shared=settings.blur_children + 1,
    )
    database = Database(settings.database_url, pool_size=settings.blur_children + 2 + settings.fetch_threads)
    limits = ChildLimits(
        seconds=settings.blur_seconds,
        memory_mb=settings.blur_memory_mb,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        max_pages=settings.max_pages,
        max_segments=settings.max_segments,
        max_scans=settings.max_scans,
        finding=FindLimits(
            seconds=settings.find_seconds, memory_mb=settings.find_memory_mb, models_folder=settings.find_models_folder
        )
        if ImageQueue.FIND in settings.queues
        else None,
        niceness=ORDER_NICENESS,
    )
    children = ChildPool(settings.blur_children, limits)
    leases = Leases(RenewImageLeases(database))
    blobs = BlobStore(settings.blob_url)
    # On the blobs' disk: a result becomes a blob by being moved.
    scratch = ScratchFolder(blobs.folder)
    sockets = ScratchFolder(socket_parent())
    keep_sockets_in(sockets.path)
    start_no_tracker()
    hints = ChangeHints(queues.announce)
    lifecycle = make_lifecycle(
        database, blobs, queues, window=settings.order_window, announce_changed=hints.order_changed
    )
    places = Places.of(settings.targets)
    targets = Targets(database=database, blobs=blobs, places=places, scratch=scratch.path)
    prepared = None
    if blobs.folder and settings.blur_children > 1 and ImageQueue.BLUR in settings.image_queues:
        may_work = partial(queues.is_idle, *(queue.value for queue in settings.image_queues))
        prepared = PreparedImages(children, blobs, scratch.path, may_work)
        queues.add_middleware(HeadStartListener(sockets.path / socket_name(blobs.folder), prepared))
    blur_image = BlurImage(
        database=database,
        blobs=blobs,
        attempt=AttemptImage(
            blobs=blobs,
            children=children,
            scratch=scratch,
            targets=targets,
            result_limit=ResultLimit(database=database, max_order_bytes=settings.max_order_bytes),
            prepared=prepared,
        ),
        leases=leases,
        lifecycle=lifecycle,
        window=settings.order_window,
    )
    register(queues, settings.image_queues, blur_image)
    if settings.fetch_threads:
        fetch_image = FetchImage(
            database=database,
            blobs=blobs,
            places=Places.of(settings.sources),
            client=HttpsClient(connect=GuardedConnect(allowed=settings.networks)),
            allow_urls=settings.allow_urls,
            hosts=HostShares(settings.fetch_threads),
            scratch=scratch,
            disk_space=DiskSpace([blobs.folder] if blobs.folder else [scratch.path], settings.min_free_mb << 20),
            leases=leases,
            lifecycle=lifecycle,
            limits=FetchLimits(
                image_bytes=settings.max_image_bytes,
                order_bytes=settings.max_order_bytes,
                seconds=settings.fetch_seconds,
            ),
            window=settings.order_window,
        )
        register(queues, [ImageQueue.FETCH], fetch_image)
    queues.add_middleware(_BlurWorkerLifecycle(settings, children, leases, (scratch, sockets), database))
    queues.add_middleware(hints)
    slots = {queue.value: settings.blur_children for queue in settings.image_queues}
    if settings.fetch_threads:
        slots[FETCH_QUEUE] = settings.fetch_threads
    if settings.instant_children:
        _serve_instant(queues, settings, limits, blobs=blobs, scratch=scratch, sockets=sockets)
        slots[INSTANT_QUEUE] = settings.instant_children
    queues.add_middleware(WorkerControl(database, queues, slots, get_models=children.get_models))
    dramatiq.set_broker(queues)


def _serve_instant(
    queues: Broker,
    settings: BlurWorkerSettings,
    limits: ChildLimits,
    *,
    blobs: BlobStore,
    scratch: ScratchFolder,
    sockets: ScratchFolder,
) -> None:
    longest = settings.instant_seconds
    limits = replace(
        limits,
        niceness=0,
        seconds=min(limits.seconds, longest),
        finding=limits.finding and replace(limits.finding, seconds=min(limits.finding.seconds, longest)),
    )
    queues.declare_queue(INSTANT_QUEUE)
    children = ChildPool(settings.instant_children, limits, run_instant, answer=InstantResult)
    listener = DirectListener(sockets.path, settings.instant_children)
    answer_call = AnswerCall(broker=queues, listener=listener, children=children, blobs=blobs, scratch=scratch)
    register_instant(queues, answer_call)
    queues.add_middleware(InstantChildren(children, listener, answer_call.answer_directly))
    metrics.watch_instant_children(children.count_alive)


class _BlurWorkerLifecycle(Middleware):
    """Starts what the actor needs before the first message, and stops it after the last."""

    def __init__(
        self,
        settings: BlurWorkerSettings,
        children: ChildPool,
        leases: Leases,
        scratch_folders: tuple[ScratchFolder, ...],
        database: Database,
    ) -> None:
        self._settings = settings
        self._children = children
        self._leases = leases
        self._scratch_folders = scratch_folders
        self._database = database

    def before_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        # First: without it, the leases of images that take long would expire.
        self._leases.start()
        try:
            self._children.start()
        except Unavailable as error:
            _log.warning("child process not started, the next image starts it", error=str(error))
        tracing.start("blur_worker", self._settings.traces_endpoint)
        metrics.watch_children(self._settings.blur_children, self._children.count_alive)
        serve_metrics("blur_worker", self._settings.metrics_host, self._settings.blur_worker_metrics_port)
        _log.info("ready")

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        self._children.close()
        self._leases.stop()
        for folder in self._scratch_folders:
            folder.close()
        self._database.close()
        tracing.stop()
