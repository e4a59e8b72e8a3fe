"""Who has signed in with which key. Kept in this process' memory: the browser holds a number that says nothing."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

IDLE_SECONDS = 30 * 60
"""An open page that refreshes itself is in use."""
LONGEST_SECONDS = 8 * 3600
MOST = 1000


@dataclass
class Session:
    """Somebody at a browser."""

    key: str
    began: float
    used: float


class Sessions:
    """All of them, by the digest of their token: whoever reads this memory finds no token to use."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def begin(self, key: str) -> str:
        """Sign a key's holder in; the token that the browser is given. Beyond `MOST` the one unused longest ends."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_digest(token)] = Session(key, now, now)
        while len(self._sessions) > MOST:
            self._sessions.popitem(last=False)
        return token

    def key(self, token: str) -> str | None:
        """The key of whoever shows this token; None: no such session, or its time is up."""
        digest = _digest(token)
        session = self._sessions.get(digest)
        if session is None:
            return None
        now = self._clock()
        if now - session.used > IDLE_SECONDS or now - session.began > LONGEST_SECONDS:
            del self._sessions[digest]
            return None
        session.used = now
        self._sessions.move_to_end(digest)
        return session.key

    def end(self, token: str) -> None:
        """Sign out."""
        self._sessions.pop(_digest(token), None)

    def form_token(self, token: str) -> str:
        """What the forms of a session's pages carry along, and no other site's page can know; token: may be empty."""
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
