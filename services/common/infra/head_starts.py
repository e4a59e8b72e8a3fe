"""Head starts: a gateway offers images of an order that is still uploaded to the worker of its machine.

The worker listens on a Unix socket, whose name both derive from the folder of the blob store. A gateway keeps one
connection open and writes lines of JSON; nothing is answered:

    ["offer", order, position, spec]    the original is stored; the order may still be refused or given up
    ["keep", order]                     the order is committed
    ["discard", order]                  it is not, and will not be

The end of the connection discards what was not kept.
"""

import contextlib
import hashlib
import json
import os
import socket
import stat
import time
from pathlib import Path
from uuid import UUID

from services.common.infra import log
from services.common.infra.process.socket_folder import socket_parent

FOLDER_PREFIX = f"imageblur-scratch-{os.getuid()}-"
"""Of the private folders of workers, in `socket_parent`."""
RETRY_SECONDS = 10.0
"""How long a gateway looks for no worker after it has found none, or lost it."""

MOST_SPEC_LENGTH = 16_000
"""Longest spec that is offered: a worker keeps many."""
_MOST_REMEMBERED = 10_000
"""Uploads of which images were offered; some are never completed."""

_log = log.get(__name__)


def socket_name(blob_folder: Path) -> str:
    """Return the name of the socket of a worker with this blob store."""
    return f"head-start-{hashlib.sha256(os.fsencode(blob_folder)).hexdigest()[:8]}"


class HeadStarts:
    """A gateway's side, in an event loop. It waits for nothing, and an order goes on whatever happens here."""

    def __init__(self, blob_folder: Path | None) -> None:
        """`blob_folder`: folder of the blob store; without one, or without a worker, nothing is offered."""
        self._name = socket_name(blob_folder) if blob_folder else None
        self._socket: socket.socket | None = None
        self._retry_at = float("-inf")
        self._offered: dict[UUID, None] = {}  # in their order

    def offer(self, order_id: UUID, position: int, spec: str) -> None:
        """Offer an image whose original is stored; `spec` as it will be in the image's claim."""
        if len(spec) <= MOST_SPEC_LENGTH and self._send("offer", order_id, position, spec):
            self._offered[order_id] = None
            if len(self._offered) > _MOST_REMEMBERED:
                del self._offered[next(iter(self._offered))]

    def end(self, order_id: UUID, *, committed: bool) -> None:
        """Report the end of an order's upload."""
        if order_id in self._offered:
            del self._offered[order_id]
            self._send("keep" if committed else "discard", order_id)

    def close(self) -> None:
        """Close the connection."""
        self._offered.clear()
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, event: str, order_id: UUID, *values: object) -> bool:
        if not (connection := self._connected()):
            return False
        line = json.dumps([event, str(order_id), *values]).encode() + b"\n"
        try:
            if connection.send(line) == len(line):
                return True
            cause = "the worker does not read"
        except OSError as error:  # full, or gone
            cause = str(error)
        _log.debug("no head start", cause=cause)
        self.close()
        return False

    def _connected(self) -> socket.socket | None:
        if self._socket or self._name is None or time.monotonic() < self._retry_at:
            return self._socket
        self._retry_at = time.monotonic() + RETRY_SECONDS
        found = [path for path in socket_parent().glob(f"{FOLDER_PREFIX}*/{self._name}") if _is_own_socket(path)]
        if len(found) != 1:  # of several workers, another one would claim the image
            return None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(found[0]))
        except OSError as error:  # a worker that was killed has left its socket
            _log.debug("no head start", cause=str(error))
            connection.close()
            return None
        self._socket = connection
        return connection


def _is_own_socket(path: Path) -> bool:
    with contextlib.suppress(OSError):
        found = path.lstat()
        return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()
    return False
