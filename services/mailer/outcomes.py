"""What may come of an attempt to send an e-mail."""

from dataclasses import dataclass

from services.common.domain.errors import Reason


@dataclass(frozen=True)
class Sent:
    """The server took it, with these words."""

    reply: str


@dataclass(frozen=True)
class Never:
    """It will not be taken, however often it is tried."""

    reason: Reason
    message: str
    bounced: bool = False
    """Because there is no such mailbox."""


@dataclass(frozen=True)
class Again:
    """It was not taken now; the reason is for the case that it never is."""

    message: str
    reason: Reason = Reason.INTERNAL
    of_all: bool = False
    """Nor would any other e-mail be."""


@dataclass(frozen=True)
class NotWanted:
    """Nobody waits for it any more: unsubscribed, confirmed, expired, cancelled."""


@dataclass(frozen=True)
class Lost:
    """The claim was lost before anything was sent: the e-mail is another's, or was cancelled."""


@dataclass(frozen=True)
class Later:
    """It was not tried: its reader has had enough e-mails for now."""

    seconds: float


Outcome = Sent | Never | Again | Later | NotWanted | Lost


def told(outcome: Outcome) -> dict[str, object]:
    """For the log: the reply's code, but not the server's words, which may say who the recipient is."""
    match outcome:
        case Sent(reply):
            return {"outcome": "SENT", "code": reply[:3]}
        case Never(reason, message, _):
            return {"outcome": "FAILED", "reason": reason.value, "code": _code(message)}
        case Again(message, reason):
            return {"outcome": "AGAIN", "reason": reason.value, "code": _code(message)}
        case Later(seconds):
            return {"outcome": "LATER", "delay": round(seconds)}
        case NotWanted():
            return {"outcome": "CANCELLED"}
        case Lost():
            return {"outcome": "LOST"}


def _code(message: str) -> str | None:
    return message[:3] if message[:3].isdecimal() else None
