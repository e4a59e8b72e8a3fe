"""The use case of the instant queue: take a call, run it in a child process, hand the outcome to its gateway."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from services.blur_worker import metrics
from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.child.process import Task
from services.blur_worker.child.scratch_folder import ScratchFolder
from services.blur_worker.instant.child_work import InstantResult, StoredRequest
from services.blur_worker.instant.direct_listener import CallerGone, DirectCall, DirectListener
from services.blur_worker.instant.exchange import WorkerExchange
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.instant import InstantOutcome, InstantRefusal, InstantRequest, ResultTooLarge
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import INSTANT_QUEUE

MAX_CRASHES = 2
"""A call that has crashed so many child processes is refused."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class AnswerCall:
    """Answers the calls that messages name, and those that gateways of this machine send."""

    broker: Broker
    listener: DirectListener
    children: ChildPool
    blobs: BlobStore
    """Store of the images that calls name instead of carrying them."""
    scratch: ScratchFolder
    _threads: threading.local = field(default_factory=threading.local, init=False)
    _begun: set[str] = field(default_factory=set, init=False)
    """Calls of the queue that have a child process or are over, until their messages are acknowledged."""

    def __call__(self, call_id: UUID) -> None:
        """Answer a call, unless its caller is gone.

        Raises:
            Unavailable: The broker cannot be reached; the gateway notices, too.
        """
        self._find_waiting()
        try:
            self._answer(call_id)
        finally:
            self._begun.add(str(call_id))

    def _answer(self, call_id: UUID) -> None:
        start = time.monotonic()
        taken = self._exchange.take(call_id)
        if taken is None:
            _log.debug("instant call", queue=INSTANT_QUEUE, call=str(call_id), outcome="NOTHING_TO_DO")
            return
        with metrics.instant_call():
            run = partial(self.children.run, on_take=partial(self._begun.add, str(call_id)))
            outcome, data = self._attempt(run, taken.request)
            answered = self._exchange.finish(call_id, outcome, data)
        _report(taken.request, outcome if answered else None, start, call=str(call_id))

    def answer_directly(self, call: DirectCall) -> None:
        """Answer a call of a gateway of this machine, or leave it to the queue if no child process is idle.

        Raises:
            CallerGone: The gateway is gone, or cannot learn that nothing comes.
        """
        start = time.monotonic()
        # Calls that have waited in the queue come first. To fetch a blob takes longer than a gateway waits.
        blob = call.request.blob
        if self._find_waiting() or (blob and not self.blobs.local_path(blob)):
            call.leave()
            return
        run = partial(self.children.run, on_take=call.begin, wait_seconds=0)
        with metrics.instant_call():
            outcome, data = self._attempt(run, call.request)
            if isinstance(outcome, InstantRefusal) and outcome.reason is None:
                call.leave()
                return
            answered = call.finish(outcome, data)
        _report(call.request, outcome if answered else None, start)

    def _find_waiting(self) -> set[str]:
        """Return the calls of the queue that wait here for a child process; forget those that are acknowledged."""
        begun = self._begun.copy()
        held = self.broker.held_subjects(INSTANT_QUEUE)
        self._begun.difference_update(begun - held)
        return held - begun

    @property
    def _exchange(self) -> WorkerExchange:
        """Exchange of this thread: its connection stays open from call to call."""
        exchange: WorkerExchange | None = getattr(self._threads, "exchange", None)
        if exchange is None:
            exchange = self._threads.exchange = WorkerExchange(self.broker.client, self.listener)
        return exchange

    def _attempt(self, run: Callable[[Task], InstantResult], request: InstantRequest) -> tuple[InstantOutcome, bytes]:
        """Return the outcome, and the bytes of the result."""
        for _ in range(MAX_CRASHES):
            try:
                return self._run(run, request)
            except ChildCrashed as error:
                _log.warning("a child process crashed in an instant call", cause=str(error))
        return InstantRefusal(reason=Reason.CRASHED, message="the image crashed the process that blurs it"), b""

    def _run(self, run: Callable[[Task], InstantResult], request: InstantRequest) -> tuple[InstantOutcome, bytes]:
        try:
            result = self._run_stored(run, request) if request.blob else run(request)
        except (MissingBlob, FileNotFoundError):
            return InstantRefusal(reason=None, message="the file was removed meanwhile"), b""
        except ImageError as error:
            return InstantRefusal(reason=error.reason, message=error.message), b""
        except Unavailable as error:
            return InstantRefusal(reason=None, message=str(error)), b""
        except (ChildCrashed, CallerGone):
            raise
        except Exception:
            _log.exception("instant call not answered")
            return InstantRefusal(reason=Reason.INTERNAL, message="internal error; see the server's log"), b""
        return result.outcome, result.data

    def _run_stored(self, run: Callable[[Task], InstantResult], request: InstantRequest) -> InstantResult:
        """Run a request whose image is a blob: the child process reads it from a file, which may be large."""
        with self.scratch.working_files(self.blobs, request.blob, str(uuid4())) as (file, _), file.open("rb") as source:
            return run(StoredRequest(request, (source.fileno(),)))


def _report(request: InstantRequest, outcome: InstantOutcome | None, start: float, **fields: str) -> None:
    """Count and log a call; None: its caller is gone."""
    name, seconds = _name(outcome), time.monotonic() - start
    metrics.count_instant(request.kind, name, seconds)
    write = _log.debug if name == "SUCCEEDED" else _log.info
    write("instant call", queue=INSTANT_QUEUE, kind=request.kind, outcome=name, seconds=round(seconds, 4), **fields)


def _name(outcome: InstantOutcome | None) -> str:
    match outcome:
        case None:
            return "ABANDONED"
        case InstantRefusal():
            return outcome.reason or "UNAVAILABLE"
        case ResultTooLarge():
            return "RESULT_TOO_LARGE"
        case _:
            return "SUCCEEDED"
