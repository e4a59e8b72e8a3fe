"""What the mailer counts."""

from prometheus_client import Counter, Histogram

from services.common.infra.metrics import SECONDS

_LETTERS = Counter("imageblur_letters", "Attempts at letters by what came of them.", ["kind", "outcome"])
_LETTER_SECONDS = Histogram("imageblur_letter_seconds", "From a letter's claim to its outcome.", buckets=SECONDS)


def letter_done(kind: str, outcome: str, seconds: float) -> None:
    """An attempt at a letter has ended."""
    _LETTERS.labels(kind, outcome).inc()
    _LETTER_SECONDS.observe(seconds)
