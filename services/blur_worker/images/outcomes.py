"""The outcomes of an attempt at an image."""

from dataclasses import dataclass

from services.blur_worker.child.process import BlurredFile
from services.common.db.orders.image_outcomes import Failure


@dataclass(frozen=True)
class Finished:
    """The image is blurred, its result stored."""

    result: BlurredFile


@dataclass(frozen=True, kw_only=True)
class Retry:
    """The attempt failed for a reason that may be temporary."""

    cause: str
    crashed: bool = False
    """Whether the child process died."""
    counted: bool = True
    """Whether the attempt counts; not if a dependency was unavailable."""
    begun: bool = True
    """Whether it was begun at all; if not, another worker may begin at once."""
    model_missing: bool = False
    """Whether this worker cannot find what is to be found: counts only if no other worker can either."""


@dataclass(frozen=True)
class LostClaim:
    """The claim was lost before anything that others see was written."""

    cause: str


Outcome = Finished | Failure | Retry | LostClaim
"""`Failure`: the image cannot be blurred, whatever is done."""
