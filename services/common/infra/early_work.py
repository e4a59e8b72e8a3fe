"""Early work over the broker: which images of an upload may be blurred before their order exists, and what came of it.

Nothing of it has to last. A task or a result that is lost with the broker, or with a worker, is an image that is
blurred after its order is stored, like any other. So no rows, no leases and no retries are needed (ADR 50).

    gateway                                  worker
    stores an original, offers it   ──────►  takes it, if no image of an order waits
                                             blurs it, stores the result if the upload is open
                                    ◄──────  records the result
    collects the results, closes the upload, stores the order with them

Of an upload, the broker has a list of tasks for each queue of images, a hash of results by position (empty while a
worker is at it) and, as long as the gateway receives it, a key that marks it as open.
"""

import time
from collections.abc import Iterable, Mapping
from typing import cast
from uuid import UUID

import redis

from services.common.domain.early_work import EarlyResult, EarlyTask
from services.common.domain.errors import Unavailable
from services.common.domain.orders import ImageQueue
from services.common.infra import dramatiq_private as private
from services.common.infra import log
from services.common.infra.broker import Broker, translated
from services.common.infra.messages import EARLY_QUEUE, work_early

OPEN_SECONDS = 120
"""How long an upload counts as open after its last sign of life."""
RESULT_SECONDS = 3600
"""How long results of an upload that has stopped are kept."""
MAX_RESULT_BYTES = 16_384
"""Of a result's JSON; one with more findings is not kept, and its image is blurred again."""
MOST_MESSAGES = 50
"""Messages that wait at most: where no worker takes them, they must not pile up."""
WAIT_SECONDS = 0.5
"""How long a gateway waits for the images that workers are at when the upload is complete."""
POLL_SECONDS = 0.005
QUEUES = (ImageQueue.BLUR, ImageQueue.FIND)
"""The queues whose images may be blurred early."""

_log = log.get(__name__)
_RUNNING = b""
# KEYS: messages that wait in the queue of images, open, tasks, results. Nothing while an image of an order waits.
_TAKE = """
if redis.call('LLEN', KEYS[1]) > 0 or redis.call('EXISTS', KEYS[2]) == 0 then return false end
local task = redis.call('LPOP', KEYS[3])
if task then
  redis.call('HSET', KEYS[4], cjson.decode(task)[1], '')
  redis.call('EXPIRE', KEYS[4], ARGV[1])
end
return task
"""
# KEYS: open, results. ARGV: position, result. Only of an upload that is open: a late result must not bring keys back.
_RECORD = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end"


class EarlyWork:
    """The exchange, for gateways and workers; blocking. Gateways never fail for it: see `offer`."""

    def __init__(self, broker: Broker) -> None:
        """Make one; nothing connects."""
        self._broker, self._client = broker, broker.client
        self._take, self._record = (self._client.register_script(script) for script in (_TAKE, _RECORD))

    def offer(self, upload_id: UUID, tasks: Iterable[tuple[ImageQueue, EarlyTask]]) -> tuple[int, int]:
        """Offer images whose originals are stored; the upload is open afterwards.

        Returns:
            How many tasks of the upload wait, and how many messages, in the whole queue.

        Raises:
            redis.RedisError: The broker cannot be reached.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.set(_open(upload_id), b"", ex=OPEN_SECONDS)
        by_queue: dict[ImageQueue, list[str]] = {}
        for queue, task in tasks:
            by_queue.setdefault(queue, []).append(task.to_json())
        for queue, texts in by_queue.items():
            pipeline.rpush(_tasks(upload_id, queue), *texts)
        for queue in by_queue:
            pipeline.expire(_tasks(upload_id, queue), OPEN_SECONDS)
        pipeline.llen(private.waiting_key(self._broker, EARLY_QUEUE))
        answers = pipeline.execute()
        return sum(answers[1 : 1 + len(by_queue)]), answers[-1]

    def send_message(self, upload_id: UUID) -> None:
        """Let one more worker look for tasks of the upload."""
        self._broker.send([work_early(upload_id)])

    def take(self, upload_id: UUID, queue: ImageQueue) -> EarlyTask | None:
        """Take the next task of an upload; None if there is none, or while images of orders wait in the queue.

        Raises:
            Unavailable: The broker cannot be reached; the methods below likewise.
        """
        keys = [
            private.waiting_key(self._broker, queue.value),
            _open(upload_id),
            _tasks(upload_id, queue),
            _results(upload_id),
        ]
        with translated():
            task = cast("bytes | None", self._take(keys=keys, args=[RESULT_SECONDS]))
        return EarlyTask.from_json(task) if task else None

    def has_tasks(self, upload_id: UUID, queue: ImageQueue) -> bool:
        """Return whether tasks of an upload wait."""
        with translated():
            return bool(self._client.exists(_tasks(upload_id, queue)))

    def is_open(self, upload_id: UUID) -> bool:
        """Return whether the upload still goes on: only then may a result be stored."""
        with translated():
            return bool(self._client.exists(_open(upload_id)))

    def record(self, upload_id: UUID, position: int, result: EarlyResult) -> None:
        """Record a stored result."""
        if len(text := result.to_json()) > MAX_RESULT_BYTES:
            self.give_up(upload_id, position)
            return
        with translated():
            self._record(keys=[_open(upload_id), _results(upload_id)], args=[position, text])

    def give_up(self, upload_id: UUID, position: int) -> None:
        """Leave an image that was taken to the ordinary attempt."""
        with translated():
            self._client.hdel(_results(upload_id), str(position))

    def stop(self, upload_id: UUID) -> None:
        """Have no more images of an upload taken: one of them costs more than it should."""
        with translated():
            self._client.delete(*_all_tasks(upload_id))

    def collect(self, upload_id: UUID) -> Mapping[int, EarlyResult]:
        """Close an upload that is complete; return its results by position, those of the next moment included.

        Without the broker there are none.
        """
        try:
            self.stop(upload_id)
            deadline = time.monotonic() + WAIT_SECONDS
            while _RUNNING in self._client.hvals(_results(upload_id)) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            (found,) = self._close(upload_id)
        except (redis.RedisError, Unavailable) as error:
            _log.warning("early results not collected: these images are blurred again", error=str(error))
            return {}
        return {int(position): EarlyResult.from_json(text) for position, text in found.items() if text != _RUNNING}

    def discard(self, *upload_ids: UUID) -> bool:
        """Close uploads that are given up; return whether a worker may be at one of their images."""
        try:
            return any(_RUNNING in results.values() for results in self._close(*upload_ids))
        except redis.RedisError:
            return True

    def _close(self, *upload_ids: UUID) -> list[dict[bytes, bytes]]:
        pipeline = self._client.pipeline(transaction=True)
        for upload_id in upload_ids:
            pipeline.hgetall(_results(upload_id))
            pipeline.delete(_open(upload_id), _results(upload_id), *_all_tasks(upload_id))
        return cast("list[dict[bytes, bytes]]", pipeline.execute()[::2])


def _key(upload_id: UUID, what: str) -> str:
    return f"imageblur:early:{upload_id}:{what}"


def _open(upload_id: UUID) -> str:
    return _key(upload_id, "open")


def _results(upload_id: UUID) -> str:
    return _key(upload_id, "results")


def _tasks(upload_id: UUID, queue: ImageQueue) -> str:
    return _key(upload_id, queue.value)


def _all_tasks(upload_id: UUID) -> list[str]:
    return [_tasks(upload_id, queue) for queue in QUEUES]
