"""Reads the mailbox of bounces from time to time, one mailer at a time, in a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import dramatiq
import redis
from dramatiq import Middleware, Worker

from services.common.domain.errors import Unavailable
from services.common.domain.mail_reports import MAX_BYTES
from services.common.infra import log
from services.common.use_cases.mail_reports import RecordedReport
from services.mailer import metrics
from services.mailer.bounces.imap_mailbox import ImapServer

_LOCK = "imageblur:bounces"
_LOCK_SECONDS = 15
"""Renewed with each message: so long nobody reads when a mailer was killed while it did."""
# Deletes the lock if it is still ours.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class ReadBounces:
    """The use case. A message is marked as read after its commit: one that is read again changes nothing."""

    mailbox: ImapServer
    record: Callable[[bytes], RecordedReport]

    def __call__(self, stopping: threading.Event, renew: Callable[[], None] = lambda: None) -> int:
        """Record the new reports; return how many messages were read. `renew` is called before each.

        Raises:
            Unavailable: The mailbox or the database cannot be reached.
        """
        count = 0
        with self.mailbox.open() as folder:
            for uid in folder.list_new():
                if stopping.is_set():
                    break
                renew()
                recorded = self._record(folder.fetch(uid, MAX_BYTES))
                folder.mark(uid, understood=recorded.understood)
                metrics.report_done(_label(recorded))
                count += 1
        return count

    def _record(self, message: bytes) -> RecordedReport:
        try:
            return self.record(message)
        except Unavailable:
            raise
        except Exception:
            # Others must not wait behind it.
            _log.exception("report not recorded")
            return RecordedReport(kind=None, understood=False)


class BounceReader(Middleware):
    """Runs it at an interval while the worker runs."""

    def __init__(self, read: ReadBounces, client: redis.Redis, *, seconds: float) -> None:
        self._read = read
        self._client = client
        self._seconds = seconds
        self._owner = uuid4().hex
        self._stopping = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="bounces", daemon=True)

    def after_worker_boot(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Begin to read."""
        self._thread.start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Worker) -> None:
        """Read no other message."""
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                if self._lock():
                    try:
                        count = self._read(self._stopping, self._renew)
                    finally:
                        self._unlock()
                    if count or self._failed:
                        _log.info("bounces read", messages=count)
                    self._failed = False
            except Unavailable as error:
                # Once for each outage.
                (_log.debug if self._failed else _log.warning)("bounces not read", error=str(error))
                self._failed = True
            except Exception:
                _log.exception("bounces not read")

    def _lock(self) -> bool:
        """Return whether this mailer reads now. Without the broker each may: reports are recorded once."""
        try:
            return bool(self._client.set(_LOCK, self._owner, nx=True, ex=_LOCK_SECONDS))
        except redis.RedisError:
            return True

    def _renew(self) -> None:
        try:
            self._client.expire(_LOCK, _LOCK_SECONDS)
        except redis.RedisError as error:
            _log.debug("the lock runs out", error=str(error))

    def _unlock(self) -> None:
        try:
            self._client.eval(_RELEASE, 1, _LOCK, self._owner)
        except redis.RedisError as error:
            _log.debug("the lock runs out", error=str(error))


def _label(recorded: RecordedReport) -> str:
    if recorded.kind is None:
        return "NO_CHANGE" if recorded.understood else "NO_REPORT"
    return recorded.kind.value if recorded.matched else "UNKNOWN_EMAIL"
