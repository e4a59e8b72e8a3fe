"""Sessions of operators, in this process's memory. The browser holds a random token, never the API key."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

IDLE_SECONDS = 30 * 60
"""An open page that refreshes itself counts as use."""
MAX_SECONDS = 8 * 3600
MAX_SESSIONS = 1000


@dataclass
class OperatorSession:
    """The key of an operator who signed in, and the times of the session."""

    key: str
    began: float
    used: float


class SessionStore:
    """All sessions by the digest of their token, so that this memory contains no usable token."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._sessions: OrderedDict[str, OperatorSession] = OrderedDict()

    def begin(self, key: str) -> str:
        """Begin a session, and return its token. Beyond `MAX_SESSIONS`, the least recently used session ends."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_digest(token)] = OperatorSession(key, now, now)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def key(self, token: str) -> str | None:
        """Return the API key of a session; None if there is no such session, or it expired."""
        digest = _digest(token)
        session = self._sessions.get(digest)
        if session is None:
            return None
        now = self._clock()
        if now - session.used > IDLE_SECONDS or now - session.began > MAX_SECONDS:
            del self._sessions[digest]
            return None
        session.used = now
        self._sessions.move_to_end(digest)
        return session.key

    def end(self, token: str) -> None:
        """End a session, if there is one with this token."""
        self._sessions.pop(_digest(token), None)

    def form_token(self, token: str) -> str:
        """Return the token of a session's forms, which other sites cannot know; token: may be empty."""
        return hmac.new(self._secret, token.encode(), hashlib.sha256).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
