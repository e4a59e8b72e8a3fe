"""What is let in: so many calls of each class at a time, and so many bytes, decided before a message is read."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from services.common.errors import Busy
from services.gateway.budget import Budget, Reservation
from services.gateway.settings import GatewaySettings

MAX_CALLS = 256
"""Calls that are answered at once: many times what the threads behind them work on."""
MAX_UPLOADS = 32
MAX_DOWNLOADS = 64
RETRY_SECONDS = 2.0

SMALL_MESSAGE = 64 << 10
"""Largest message of a method that brings no images."""
IMAGE_ID_BYTES = 40
"""An image's id in a message."""
SMALL_SECONDS = 10.0
"""A message has to arrive within so many seconds; a client sends a small one along with the call."""
LARGE_SECONDS = 30.0


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
    """Bytes to reserve: the largest that its message may have, or what an upload buffers."""
    seconds: float
    """Its (first) message has to arrive within so many."""


class Admission:
    """Lets calls in or sends them away.

    An eighth of the bytes is for small messages: however slowly large ones crawl in, an order can be asked for.
    """

    def __init__(self, settings: GatewaySettings, *, upload_bytes: int) -> None:
        self.small = Budget(settings.max_bytes_in_flight // 8)
        self.large = Budget(settings.max_bytes_in_flight - self.small.capacity)
        # Uploads may take long: they always leave room for a message.
        uploads = min(MAX_UPLOADS, (self.large.capacity - settings.largest_message) // upload_bytes)
        calls, watches = Calls("calls", MAX_CALLS), Calls("watches", settings.max_watches)
        ids = min(SMALL_MESSAGE + IMAGE_ID_BYTES * settings.max_images, self.small.capacity)
        self._default = Terms(calls, self.small, SMALL_MESSAGE, SMALL_SECONDS)
        self._terms = {
            "BlurOrder": Terms(calls, self.large, settings.largest_message, LARGE_SECONDS),
            "StreamBlurOrder": Terms(Calls("uploads", uploads), self.large, upload_bytes, SMALL_SECONDS),
            "WatchStatus": Terms(watches, self.small, SMALL_MESSAGE, SMALL_SECONDS),
            "DownloadImages": Terms(Calls("downloads", MAX_DOWNLOADS), self.small, ids, SMALL_SECONDS),
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
