"""What must be true of an image, from what was done to it."""

from dataclasses import dataclass
from uuid import UUID

from services.common.domain.retries import MAX_ATTEMPTS, MAX_CRASHES


@dataclass
class Known:
    """The model of an image."""

    order_id: UUID
    attempts: int = 0
    crashes: int = 0
    holder: UUID | None = None
    """Whose claim it is."""
    end: str | None = None

    def claimed(self, owner: UUID) -> None:
        self.attempts += 1
        self.holder = owner

    def ended(self, end: str) -> None:
        self.holder, self.end = None, end

    def put_back(self, *, crashed: bool) -> None:
        if self.crashes + crashed >= MAX_CRASHES or self.attempts >= MAX_ATTEMPTS:
            self.ended("FAILED")
        else:
            self.holder = None
            self.crashes += crashed
