"""How often, and after which delays, images, e-mails and mailings are tried again.

The delay ends in a column; the next sweep after it enqueues the image or e-mail.
"""

from dataclasses import dataclass

from services.common.domain.errors import Reason


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off: the delay doubles with each failure. Delays in seconds."""

    first_delay: float
    longest_delay: float

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row (≥ 1)."""
        # The exponent is bounded: 2.0 ** 1100 overflows.
        return min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 100))


MAX_ATTEMPTS = 10
"""Claims of an image before it fails, whatever ended them: killed workers are not the image's fault."""
MAX_EMAIL_ATTEMPTS = 20
"""About five hours: a mail server that is down for maintenance, or that makes strangers wait (greylisting)."""
MAX_COPIES = 3
"""Attempts after which an e-mail is not tried again if the mail server may have accepted it: it received the whole
message, and no reply came."""
MAX_CRASHES = 3
"""Deaths of the child process that worked on an image before the image is held responsible."""

MAX_SOURCE_ATTEMPTS = 8
"""Attempts to fetch a source, or to write to a target, that is unavailable: two minutes."""

IMAGE_RETRIES = RetryPolicy(first_delay=1, longest_delay=60)
EMAIL_RETRIES = RetryPolicy(first_delay=1, longest_delay=1800)
MAILING_RETRIES = RetryPolicy(first_delay=2, longest_delay=300)
"""Between batches of a mailing while the mail server takes no e-mails."""
UNAVAILABLE_DELAY = 5.0
"""Seconds until an image is tried again that could not be worked on: a dependency was unavailable."""

RETRYABLE = frozenset(
    {
        Reason.TIMED_OUT,
        Reason.CRASHED,
        Reason.INTERNAL,
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_REFUSED,
        Reason.TARGET_UNAVAILABLE,
    }
)
"""Why an image failed that an operator may retry: under less load, with more memory, by a fixed version, when its
source or target is available.

Its original is kept for that until the order expires, or an operator dismisses the failure. Other reasons lie in the
file.
"""
