"""What is let in: so many calls of each class at a time, and so many bytes, decided before a message is read."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from services.common.domain.errors import Busy
from services.gateway.rpc.byte_budget import Budget, Reservation
from services.gateway.settings import GatewaySettings

MAX_CALLS = 256
"""Calls that are answered at once: many times what the threads behind them work on."""
MAX_UPLOADS = 32
MAX_DOWNLOADS = 64
MAX_PROBES = 64
"""Health checks and reflections, each."""
RETRY_SECONDS = 2.0

SMALL_MESSAGE = 64 << 10
"""Largest message of a method that brings no images."""
IMAGE_ID_BYTES = 40
"""An image's id in a message."""
SMALL_SECONDS = 5.0
"""A message has to arrive within so many seconds; a client sends a small one along with the call."""
START_SECONDS = 10.0
LARGE_SECONDS = 30.0
IDLE_SECONDS = 60.0
"""An upload is given up when nothing comes for so long."""
SMALL_IDLE_SECONDS = 2.0
"""Clients of reflection ask at once what they want to know; some then keep its stream open for as long as they run."""


class Calls:
    """The calls of one class that are under way."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.running = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among them.

        Raises:
            Busy: All are taken.
        """
        if self.running >= self.limit:
            message = f"the server has {self.limit} {self.name} under way, and takes no more at a time"
            raise Busy("TOO_MANY_CALLS", self.name, message, retry_seconds=RETRY_SECONDS)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1


@dataclass(frozen=True)
class Terms:
    """On what terms the calls of a method are let in."""

    calls: Calls
    budget: Budget
    room: int
    """Bytes to reserve: what gRPC may read before we see how large a message is, or more that an upload buffers."""
    largest: int
    """Largest message that the method takes."""
    seconds: float
    """Its (first) message has to arrive within so many."""
    idle_seconds: float
    """A stream is given up when its next message does not come for so long."""


class Admission:
    """Lets calls in or sends them away.

    gRPC has one limit for the messages of all methods, and reads them whole: until one is there, each may be as large.
    So whatever must not be held up by others has bytes of its own: however slowly large messages crawl in, an order can
    be asked for, and however many ask, load balancers are told that the server is well.
    """

    def __init__(self, settings: GatewaySettings, *, upload_bytes: int) -> None:
        message = settings.largest_message
        self.health, self.reflection = Budget(2 * message), Budget(4 * message)
        self.small = Budget(settings.max_bytes_in_flight // 4)
        self.large = Budget(
            settings.max_bytes_in_flight - sum(b.capacity for b in (self.health, self.reflection, self.small))
        )
        upload = max(upload_bytes, message)
        ids = min(SMALL_MESSAGE + IMAGE_ID_BYTES * settings.max_images, message)
        # Uploads may take long: they always leave room for a message.
        uploads = min(MAX_UPLOADS, (self.large.capacity - message) // upload)

        def small(calls: Calls, budget: Budget, largest: int = SMALL_MESSAGE) -> Terms:
            return Terms(calls, budget, message, largest, SMALL_SECONDS, SMALL_IDLE_SECONDS)

        calls = Calls("calls", MAX_CALLS)
        self._default = small(calls, self.small)
        self._terms = {
            "BlurOrder": Terms(calls, self.large, message, message, LARGE_SECONDS, IDLE_SECONDS),
            "StreamBlurOrder": Terms(
                Calls("uploads", uploads), self.large, upload, message, START_SECONDS, IDLE_SECONDS
            ),
            "WatchStatus": small(Calls("watches", settings.max_watches), self.small),
            "DownloadImages": small(Calls("downloads", MAX_DOWNLOADS), self.small, ids),
            "Check": small(Calls("health checks", MAX_PROBES), self.health),
            "Watch": small(Calls("watches of health", MAX_PROBES), self.health),
            "ServerReflectionInfo": small(Calls("reflections", MAX_PROBES), self.reflection),
        }

    @property
    def most_calls(self) -> int:
        """All classes together."""
        return sum(calls.limit for calls in {terms.calls for terms in (self._default, *self._terms.values())})

    def terms(self, method: str) -> Terms:
        """The terms of a method, by its name without its service."""
        return self._terms.get(method, self._default)

    @asynccontextmanager
    async def admit(self, terms: Terms) -> AsyncIterator[Reservation]:
        """A place among the calls of a class, and room for what this one brings, until the block ends.

        Raises:
            Busy: There is no place, or no room became free in time.
        """
        with terms.calls.place():
            async with terms.budget.reserve(terms.room) as reservation:
                yield reservation
