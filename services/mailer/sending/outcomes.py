"""The possible outcomes of an attempt to send an e-mail."""

from dataclasses import dataclass

from services.common.domain.errors import Reason


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The mail server accepted it."""

    reply: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The mail server will never accept it."""

    message: str
    no_mailbox: bool = False
    """Because there is no such mailbox."""


@dataclass(frozen=True, kw_only=True)
class RetryEmail:
    """It was not accepted now, or a dependency failed."""

    message: str
    reason: Reason = Reason.INTERNAL
    """Reason of the failure, after the last attempt."""
    server_unavailable: bool = False
    """The mail server would not accept any other e-mail either."""
    maybe_sent: bool = False
    """The mail server has the whole e-mail, and may have accepted it: another attempt may be a second copy."""


@dataclass(frozen=True, kw_only=True)
class Postponed:
    """It was not attempted, which counts as no attempt."""

    seconds: float
    message: str


@dataclass(frozen=True)
class NotWanted:
    """Its subscriber has unsubscribed or confirmed, or its order has expired or was cancelled."""


@dataclass(frozen=True)
class ClaimLost:
    """The claim was lost before anything was sent: another mailer has the e-mail, or it was cancelled."""


Outcome = Sent | Refused | RetryEmail | Postponed | NotWanted | ClaimLost
