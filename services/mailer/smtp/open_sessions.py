"""The sessions of a mailer, so that they can be interrupted when it stops."""

import threading
from weakref import WeakSet

from services.mailer.smtp.server import SmtpServer
from services.mailer.smtp.session import SmtpSession


class OpenSessions:
    """Opens sessions and interrupts them."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._sessions: WeakSet[SmtpSession] = WeakSet()
        self._lock = threading.Lock()
        self._interrupted = False

    def open(self) -> SmtpSession:
        """Return a new session, interrupted if the others are."""
        session = SmtpSession(self._server)
        with self._lock:
            self._sessions.add(session)
            if self._interrupted:
                session.interrupt()
        return session

    def interrupt(self) -> None:
        """Interrupt all sessions, those to come included."""
        with self._lock:
            self._interrupted = True
            for session in self._sessions:
                session.interrupt()
