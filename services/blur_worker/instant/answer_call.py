"""The use case of the instant queue: take a call, run it in a child process, hand the outcome to its gateway."""

import threading
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from services.blur_worker import metrics
from services.blur_worker.child_pool import ChildCrashed, ChildPool
from services.blur_worker.instant.child_work import InstantResult, StoredRequest
from services.blur_worker.scratch_folder import ScratchFolder
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.instant import InstantOutcome, InstantRefusal, InstantRequest, ResultTooLarge
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.broker import Broker
from services.common.infra.instant_calls import WorkerExchange
from services.common.infra.messages import INSTANT_QUEUE

MAX_CRASHES = 2
"""A call that has crashed so many child processes is refused."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class AnswerCall:
    """Answers the calls that messages name."""

    broker: Broker
    children: ChildPool
    blobs: BlobStore
    """Of the images that calls name instead of carrying them."""
    scratch: ScratchFolder
    _threads: threading.local = field(default_factory=threading.local, init=False)

    def __call__(self, call_id: UUID) -> None:
        """Answer a call, unless its caller is gone.

        Raises:
            Unavailable: The broker cannot be reached; the gateway notices, too.
        """
        start = time.monotonic()
        taken = self._exchange.take(call_id)
        if taken is None:
            _log.debug("instant call", queue=INSTANT_QUEUE, call=str(call_id), outcome="NOTHING_TO_DO")
            return
        with metrics.instant_call():
            outcome, data = self._attempt(taken.request)
            answered = self._exchange.finish(call_id, outcome, data)
        kind = taken.request.kind
        name, seconds = _name(outcome) if answered else "ABANDONED", time.monotonic() - start
        metrics.count_instant(kind, name, seconds)
        write = _log.debug if name == "SUCCEEDED" else _log.info
        write(
            "instant call", queue=INSTANT_QUEUE, call=str(call_id), kind=kind, outcome=name, seconds=round(seconds, 4)
        )

    @property
    def _exchange(self) -> WorkerExchange:
        """That of this thread: its connection stays open from call to call."""
        exchange: WorkerExchange | None = getattr(self._threads, "exchange", None)
        if exchange is None:
            exchange = self._threads.exchange = WorkerExchange(self.broker.client)
        return exchange

    def _attempt(self, request: InstantRequest) -> tuple[InstantOutcome, bytes]:
        """Return the outcome, and the bytes of the result."""
        for _ in range(MAX_CRASHES):
            try:
                return self._run(request)
            except ChildCrashed as error:
                _log.warning("a child process crashed in an instant call", cause=str(error))
        return InstantRefusal(reason=Reason.CRASHED, message="the image crashed the process that blurs it"), b""

    def _run(self, request: InstantRequest) -> tuple[InstantOutcome, bytes]:
        try:
            result = self._run_stored(request) if request.blob else self.children.run(request)
        except (MissingBlob, FileNotFoundError):
            return InstantRefusal(reason=None, message="the file was removed meanwhile"), b""
        except ImageError as error:
            return InstantRefusal(reason=error.reason, message=error.message), b""
        except Unavailable as error:
            return InstantRefusal(reason=None, message=str(error)), b""
        except ChildCrashed:
            raise
        except Exception:
            _log.exception("instant call not answered")
            return InstantRefusal(reason=Reason.INTERNAL, message="internal error; see the server's log"), b""
        return result.outcome, result.data

    def _run_stored(self, request: InstantRequest) -> InstantResult:
        """Run a request whose image is a blob: the child process reads it from a file, which may be large."""
        with (
            self.scratch.working_files(self.blobs, request.blob, uuid4()) as (file, _),
            file.open("rb") as source,
        ):
            result: InstantResult = self.children.run(StoredRequest(request, (source.fileno(),)))
            return result


def _name(outcome: InstantOutcome) -> str:
    match outcome:
        case InstantRefusal():
            return outcome.reason or "UNAVAILABLE"
        case ResultTooLarge():
            return "RESULT_TOO_LARGE"
        case _:
            return "SUCCEEDED"
