"""Results of images that nobody has ordered yet: a cache, of which nothing is visible and nothing is promised."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from services.blur_worker import metrics
from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import BlurredFile
from services.common.domain.orders import original_key
from services.common.domain.spec import BlurSpec
from services.common.infra import log
from services.common.infra.blobs import BlobStore

MOST_IMAGES = 1_000
"""Most images that wait to be prepared, or to be claimed."""
MOST_BYTES = 256 << 20
"""Most bytes of results that wait to be claimed; nothing is prepared beyond."""
MOST_ORIGINAL_BYTES = 16 << 20
"""Larger images get no head start: they would keep a child process from what was ordered for too long."""
PREPARE_SECONDS = 1
"""Longest time of a child process for an image; what takes longer is done when it is ordered."""
WAIT_SECONDS = 10.0
"""How long an attempt waits for a child process that is at its image, which it has to start first perhaps."""
KEEP_SECONDS = 600.0
"""How long a result waits for its claim."""
CHECK_SECONDS = 10.0
"""How often results are looked through for those that are too old, or whose original was removed."""
POLL_SECONDS = 0.01
"""How often a worker that is busy looks whether it still is."""

_log = log.get(__name__)


@dataclass(kw_only=True)
class _Image:
    """An image that was offered. `blurred` is set before `done`."""

    source: object
    order_id: UUID
    key: str
    spec: str
    file: Path
    offered_at: float = field(default_factory=time.monotonic)
    begun: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    blurred: BlurredFile | None = None


class PreparedImages:
    """Prepares images, one at a time, while nothing that was ordered waits; keeps the results until they are claimed.

    Args:
        children: Blur them, as they blur what was ordered.
        blobs: The blob store, a folder.
        folder: Folder of results, on the disk of the blobs.
        may_work: Whether there is nothing else to do.
    """

    def __init__(self, children: ChildPool, blobs: BlobStore, folder: Path, may_work: Callable[[], bool]) -> None:
        self._children, self._blobs, self._folder, self._may_work = children, blobs, folder, may_work
        self._images: dict[str, _Image] = {}
        """By the original's key, the oldest first."""
        self._ready: Counter[UUID] = Counter()
        self._bytes = 0
        self._kept: set[UUID] = set()
        self._given_up: dict[UUID, None] = {}
        """Orders with an image that could not be prepared, in their order."""
        self._number = 0
        self._checked_at = time.monotonic()
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="head start", daemon=True)

    def start(self) -> None:
        """Start to prepare what is offered."""
        self._thread.start()

    def stop(self) -> None:
        """Discard everything, and wait until no child process works on it."""
        with self._changed:
            self._stopped = True
            self._discard(list(self._images.values()))
            self._changed.notify_all()
        self._thread.join()

    def offer(self, source: object, order_id: UUID, position: int, spec: str) -> None:
        """Prepare an image as soon as there is nothing else to do; `source`: who can give it up."""
        key = original_key(order_id, position)
        with self._changed:
            if self._stopped or key in self._images or len(self._images) >= MOST_IMAGES or order_id in self._given_up:
                return
            self._number += 1
            file = self._folder / f"prepared-{self._number}"
            self._images[key] = _Image(source=source, order_id=order_id, key=key, spec=spec, file=file)
            self._changed.notify()

    def keep(self, order_id: UUID) -> None:
        """Keep what is prepared of an order that is committed, and begin no more of it: it is about to be claimed."""
        with self._changed:
            images = [image for image in self._images.values() if image.order_id == order_id]
            if any(image.begun for image in images):
                self._kept.add(order_id)
            self._discard([image for image in images if not image.begun])

    def discard_order(self, order_id: UUID) -> None:
        """Discard the images of an order."""
        with self._changed:
            self._discard([image for image in self._images.values() if image.order_id == order_id])

    def discard_source(self, source: object) -> None:
        """Discard what a gateway that is gone has offered and not committed."""
        with self._changed:
            gone = [each for each in self._images.values() if each.source is source and each.order_id not in self._kept]
            self._discard(gone)

    def take(self, key: str, spec: str, file: Path) -> BlurredFile | None:
        """Move the result of a claimed image to a file; None if it was not prepared, or with another spec.

        Waits for a child process that is at it. Raises: OSError.
        """
        with self._changed:
            image = self._images.get(key)
            if image is None:
                return None
            if not image.begun or image.spec != spec:
                self._discard([image])
                return None
        image.done.wait(WAIT_SECONDS)
        with self._changed:
            if self._images.get(key) is not image:
                return None
            if image.blurred is None:
                self._discard([image])
                return None
            self._remove(image)
        image.file.replace(file)
        metrics.count_head_start("used")
        return image.blurred

    def count_ready(self, order_id: UUID) -> int:
        """Return how many results of an order are ready."""
        return self._ready[order_id]

    def _run(self) -> None:
        while image := self._next():
            self._prepare(image)

    def _next(self) -> _Image | None:
        with self._changed:
            while not self._stopped:
                self._discard_old()
                full = self._bytes >= MOST_BYTES
                waiting = None if full else next((each for each in self._images.values() if not each.begun), None)
                if waiting and self._may_work():
                    waiting.begun = True
                    return waiting
                self._changed.wait(POLL_SECONDS if waiting else CHECK_SECONDS if self._images else None)
        return None

    def _prepare(self, image: _Image) -> None:
        blurred = None
        try:
            original = self._blobs.local_path(image.key)
            if original and original.stat().st_size <= MOST_ORIGINAL_BYTES:
                spec = BlurSpec.from_json(image.spec)
                blurred = self._children.blur(original, image.file, spec, wait_seconds=0, seconds=PREPARE_SECONDS)
        except Exception as error:
            # What is wrong with it is found, and recorded, when it is ordered.
            _log.debug("no head start", image=image.key, cause=repr(error))
        with self._changed:
            wanted = self._images.get(image.key) is image
            if wanted and blurred:
                image.blurred = blurred
                self._bytes += blurred.size
                self._ready[image.order_id] += 1
                metrics.count_head_start("prepared")
            else:
                if wanted:
                    self._remove(image)
                    self._give_up(image.order_id)
                _unlink(image.file)
                metrics.count_head_start("failed" if wanted else "discarded")
            image.done.set()

    def _give_up(self, order_id: UUID) -> None:
        """Begin no more images of an order: each that takes too long costs a child process."""
        self._given_up[order_id] = None
        if len(self._given_up) > MOST_IMAGES:
            del self._given_up[next(iter(self._given_up))]
        self._discard([each for each in self._images.values() if each.order_id == order_id and not each.begun])

    def _discard_old(self) -> None:
        now = time.monotonic()
        if now >= self._checked_at + CHECK_SECONDS:
            self._checked_at = now
            self._discard([each for each in self._images.values() if now > each.offered_at + KEEP_SECONDS])
            # Any gateway may have removed them: an upload was given up, an order cancelled.
            self._discard([each for each in self._images.values() if each.blurred and not self._has_original(each)])

    def _has_original(self, image: _Image) -> bool:
        original = self._blobs.local_path(image.key)
        return original is not None and original.exists()

    def _discard(self, images: list[_Image]) -> None:
        for image in images:
            self._remove(image)
            if image.blurred:  # else `_prepare` finds it discarded
                _unlink(image.file)
                metrics.count_head_start("discarded")

    def _remove(self, image: _Image) -> None:
        del self._images[image.key]
        if image.blurred:
            self._bytes -= image.blurred.size
            self._ready[image.order_id] -= 1
        if not self._ready[image.order_id]:
            del self._ready[image.order_id]
        if image.order_id in self._kept and not any(e.order_id == image.order_id for e in self._images.values()):
            self._kept.discard(image.order_id)


def _unlink(file: Path) -> None:
    with contextlib.suppress(OSError):  # of a disk that is read-only: it goes with the worker's folder
        file.unlink(missing_ok=True)
