"""Admission control: concurrent calls and bytes in flight are limited before a message is read."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from services.common.domain.errors import ImageBlurError, ResourceExhausted
from services.gateway.rpc.callers import rate_limit_key
from services.gateway.rpc.limits.byte_budget import ByteBudget, Reservation
from services.gateway.rpc.limits.call_turns import CURRENT_TURN, CallTurns, Turn
from services.gateway.settings import GatewaySettings

MAX_CALLS = 256
"""Concurrent calls that return immediately: many times the number of threads that serve them."""
MAX_UPLOADS = 32
MAX_DOWNLOADS = 64
MAX_IMPORTS = 4
"""Concurrent imports of subscribers."""
MAX_REPORT_BYTES = 520 << 10
"""Largest message with a report about an e-mail."""
MAX_TEXT_BYTES = 256 << 10
"""Largest message with texts of e-mails."""
_WAITING = (
    "RunMailing",
    "PreviewMailing",
    "SendTestMailing",
    "CheckMail",
    "ListEmailTexts",
    "ExportSubscribers",
    "ExportPersonalData",
)
"""Methods that wait for a mailer, or for a client that reads: others can have their turns meanwhile."""
MAX_PROBES = 64
"""Concurrent health checks, and concurrent reflection calls."""
RETRY_SECONDS = 2.0

SMALL_MESSAGE = 64 << 10
"""Largest message of a method without images, in bytes."""
IMAGE_ID_BYTES = 40
"""Size of an image's ID in a message."""
SMALL_SECONDS = 5.0
"""Timeout for a small message: clients send it along with the call."""
START_SECONDS = 10.0
LARGE_SECONDS = 30.0
IDLE_SECONDS = 60.0
"""Timeout for the next message of an upload."""
SMALL_IDLE_SECONDS = 2.0
"""Timeout for the next message of reflection: some clients keep its stream open as long as they run."""


class CallLimit:
    """Limits the concurrent calls of one class; a quarter of them is left to others by each caller."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.caller_limit = limit - limit // 4
        self.running = 0
        self._by_caller: Counter[str] = Counter()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for the current caller until the block ends.

        Raises:
            ResourceExhausted: All slots are taken, or as many as one caller may have.
        """
        caller = rate_limit_key()
        if self.running >= self.limit:
            raise self._busy(f"the server has reached its limit of {self.limit} concurrent {self.name}")
        if self._by_caller[caller] >= self.caller_limit:
            raise self._busy(f"the caller has reached its limit of {self.caller_limit} concurrent {self.name}")
        self.running += 1
        self._by_caller[caller] += 1
        try:
            yield
        finally:
            self.running -= 1
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]

    def _busy(self, message: str) -> ResourceExhausted:
        return ResourceExhausted("TOO_MANY_CALLS", self.name, message, retry_seconds=RETRY_SECONDS)


@dataclass(frozen=True, kw_only=True)
class CallPolicy:
    """The limits of a method's calls."""

    calls: CallLimit
    budget: ByteBudget
    reserved_bytes: int
    """What gRPC may read before the size of a message is known, or more if an upload buffers more."""
    max_message_bytes: int
    first_message_seconds: float
    """Timeout for the (first) message."""
    idle_seconds: float
    """Timeout for each further message of a stream."""
    keeps_turn: bool = False
    """Whether a call keeps its turn to its end, as it is short; others have one until they are admitted."""
    is_probe: bool = False
    """Whether a call starts although all turns are taken: it asks whether they are."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """What an admitted call has."""

    reservation: Reservation
    turn: Turn
    """Paused until the message has been received."""


class Admission:
    """Admits calls or refuses them.

    gRPC has one message size limit for all methods and reads messages whole: until a message has been read, it may be
    as large as the limit. Calls that must not wait for others therefore have a byte budget of their own: slow uploads
    do not delay Status calls, and neither delays health checks. No caller can hold all of a budget of small messages,
    nor all calls of a class.

    Args:
        settings: Settings of the gateway.
        upload_bytes: Bytes that an upload buffers.
    """

    def __init__(self, settings: GatewaySettings, *, upload_bytes: int) -> None:
        message = settings.largest_message
        self.health = ByteBudget(2 * message, caller_share=message)
        self.reflection = ByteBudget(4 * message, caller_share=2 * message)
        small_bytes = settings.max_bytes_in_flight // 4
        self.small = ByteBudget(small_bytes, caller_share=max(message, small_bytes - 2 * message))
        self.large = ByteBudget(
            settings.max_bytes_in_flight - sum(b.capacity for b in (self.health, self.reflection, self.small))
        )
        self.instant_share = ByteBudget(self.large.capacity // 2)
        """What instant calls that wait may hold of `large`, so that they leave room for orders."""
        self._turns = CallTurns(settings.gateway_threads)
        upload = max(upload_bytes, message)
        ids = min(SMALL_MESSAGE + IMAGE_ID_BYTES * settings.max_images, message)
        # Uploads may take long: they always leave room for one BlurOrder message.
        uploads = min(MAX_UPLOADS, (self.large.capacity - message) // upload)
        short, instant = CallLimit("calls", MAX_CALLS), CallLimit("instant calls", 2 * settings.max_instant_calls)

        def small(calls: CallLimit, budget: ByteBudget, max_bytes: int = SMALL_MESSAGE) -> CallPolicy:
            return CallPolicy(
                calls=calls,
                budget=budget,
                reserved_bytes=message,
                max_message_bytes=max_bytes,
                first_message_seconds=SMALL_SECONDS,
                idle_seconds=SMALL_IDLE_SECONDS,
                keeps_turn=calls is short,
            )

        def waiting(max_bytes: int = SMALL_MESSAGE) -> CallPolicy:
            return replace(small(short, self.small, max_bytes), keeps_turn=False)

        def probe(name: str, budget: ByteBudget) -> CallPolicy:
            return replace(small(CallLimit(name, MAX_PROBES), budget), is_probe=True)

        def large(calls: CallLimit, reserved: int, seconds: float) -> CallPolicy:
            return CallPolicy(
                calls=calls,
                budget=self.large,
                reserved_bytes=reserved,
                max_message_bytes=message,
                first_message_seconds=seconds,
                idle_seconds=IDLE_SECONDS,
            )

        upload_calls = CallLimit("uploads", uploads)
        self._default = small(short, self.small)
        self._policies = {
            "BlurOrder": large(short, message, LARGE_SECONDS),
            "BlurImage": large(instant, message, LARGE_SECONDS),
            "FindRegions": large(instant, message, LARGE_SECONDS),
            "PreviewImage": large(instant, message, SMALL_SECONDS),
            "ReviseImages": waiting(message),  # for the thread that parses
            "StreamBlurOrder": large(upload_calls, upload, START_SECONDS),
            "CreateUpload": waiting(message),
            "AppendUpload": large(upload_calls, upload, START_SECONDS),
            "ImportSubscribers": replace(
                small(CallLimit("imports", MAX_IMPORTS), self.small), idle_seconds=IDLE_SECONDS
            ),
            "SetEmailText": waiting(min(MAX_TEXT_BYTES, message)),
            "PreviewEmail": waiting(min(MAX_TEXT_BYTES, message)),
            "RecordMailReport": small(short, self.small, min(MAX_REPORT_BYTES, message)),
            "WatchStatus": small(CallLimit("watches", settings.max_watches), self.small),
            "DownloadImages": small(CallLimit("downloads", MAX_DOWNLOADS), self.small, ids),
            "Check": probe("health checks", self.health),
            "Watch": probe("watches of health", self.health),
            "ServerReflectionInfo": probe("reflections", self.reflection),
            **dict.fromkeys(_WAITING, waiting()),
        }

    @property
    def max_calls(self) -> int:
        """Concurrent calls of all classes together."""
        return sum(calls.limit for calls in {policy.calls for policy in (self._default, *self._policies.values())})

    def policy(self, method: str) -> CallPolicy:
        """Return the limits of a method, by its name without its service."""
        return self._policies.get(method, self._default)

    @asynccontextmanager
    async def admit(self, policy: CallPolicy, refusal: ImageBlurError | None = None) -> AsyncIterator[Admitted]:
        """Hold a slot and reserve bytes for a call of the current caller until the block ends.

        Raises:
            ResourceExhausted: There is no free slot, or no turn or not enough bytes became free in time.
            ImageBlurError: `refusal`. A flood of unauthorized calls takes turns like any other.
        """
        turn = await self._turns.take(probe=policy.is_probe)
        CURRENT_TURN.set(turn)
        try:
            if refusal:
                raise refusal
            with policy.calls.slot():
                turn.pause() if policy.keeps_turn else turn.end()
                async with policy.budget.reserve(policy.reserved_bytes) as reservation:
                    yield Admitted(reservation=reservation, turn=turn)
        finally:
            turn.end()
