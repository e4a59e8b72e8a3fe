"""The use case of the queue `early`: blur images of an upload in progress, while no image of an order waits."""

import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from services.blur_worker import metrics
from services.blur_worker.child_pool import ChildCrashed, ChildPool
from services.blur_worker.child_process import BlurredFile
from services.blur_worker.reporting import report_early
from services.blur_worker.scratch_folder import ScratchFolder
from services.blur_worker.time_slice import TIME_SLICE_SECONDS
from services.common.db.orders.images import this_worker
from services.common.domain.early_work import EarlyResult, EarlyTask
from services.common.domain.errors import ImageBlurError, ImageError, Reason
from services.common.domain.orders import ImageQueue, original_key, result_key
from services.common.domain.spec import BlurSpec
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.early_work import QUEUES, EarlyWork
from services.common.infra.version import ENGINE

_COSTLY = frozenset({Reason.TIMED_OUT, Reason.TOO_LARGE})
_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkEarly:
    """Blurs images of uploads that messages name.

    Whatever goes wrong is left to the ordinary attempt, after the order is stored: it decides, counts and reports.
    """

    broker: Broker
    early: EarlyWork
    blobs: BlobStore
    children: ChildPool
    scratch: ScratchFolder
    queues: tuple[ImageQueue, ...]
    """Queues of images that this worker serves."""

    def __call__(self, upload_id: UUID) -> None:
        """Blur images of an upload until there are none, the time slice ends, or images of orders wait.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        end = time.monotonic() + TIME_SLICE_SECONDS
        for queue in QUEUES:
            while self._may_serve(queue) and (task := self.early.take(upload_id, queue)):
                self._attempt(upload_id, queue, task)
                if time.monotonic() > end:
                    # To the end of the queue: other uploads have their time slices.
                    if self.early.has_tasks(upload_id, queue):
                        self.early.send_message(upload_id)
                    return

    def _may_serve(self, queue: ImageQueue) -> bool:
        return queue in self.queues and not self.broker.is_paused(queue.value)

    def _attempt(self, upload_id: UUID, queue: ImageQueue, task: EarlyTask) -> None:
        start = time.monotonic()
        try:
            blurred = self._blur(upload_id, task)
        except Exception as error:
            self.early.give_up(upload_id, task.position)
            if isinstance(error, ChildCrashed) or (isinstance(error, ImageError) and error.reason in _COSTLY):
                self.early.stop(upload_id)
            elif not isinstance(error, (ImageBlurError, OSError)):
                _log.exception("early attempt failed", order=str(upload_id), position=task.position)
            return
        if blurred is None:
            self.early.give_up(upload_id, task.position)
            return
        seconds = time.monotonic() - start
        result = EarlyResult(
            size=blurred.size,
            sha256=blurred.sha256,
            crc32=blurred.crc32,
            width=blurred.width,
            height=blurred.height,
            format=blurred.format,
            engine=ENGINE,
            worker=this_worker(),
            seconds=seconds,
            inspection=blurred.inspection,
        )
        self.early.record(upload_id, task.position, result)
        report_early(upload_id, queue, task, blurred, seconds)

    def _blur(self, upload_id: UUID, task: EarlyTask) -> BlurredFile | None:
        """Blur an image and store the result; None, without a result, if the upload has ended meanwhile."""
        original = original_key(upload_id, task.position)
        with self.scratch.working_files(self.blobs, original, uuid4()) as (original_file, result_file):
            blurred = self.children.blur(original_file, result_file, BlurSpec.from_json(task.spec))
            if not self.early.is_open(upload_id):
                return None
            with metrics.stage("store"):
                # Not synced: the gateway does that when it stores the order.
                self.blobs.store_file(result_key(upload_id, task.position), result_file)
        return blurred
