"""A worker's side of instant calls over the broker, as `common/infra/instant/instant_calls.py` describes."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import redis

from services.blur_worker.instant.direct_listener import DirectListener
from services.common.domain.instant import InstantOutcome, InstantRequest
from services.common.infra.instant.direct_calls import DIRECT_BYTES
from services.common.infra.instant.instant_calls import (
    CHANNEL,
    ID_BYTES,
    OUTCOME,
    READY,
    RESULT,
    SEND,
    gateway_channel,
    outcome_head,
)
from services.common.infra.messaging.broker import broker_errors

ANSWER_SECONDS = 5.0
"""How long a worker waits for its gateway, which answers at once or is gone."""


@dataclass(frozen=True, kw_only=True)
class TakenCall:
    """A call that a worker has taken."""

    call_id: UUID
    request: InstantRequest


class WorkerExchange:
    """Takes and answers calls, one after another in the same thread; blocking.

    Every method raises Unavailable if the broker cannot be reached.
    """

    def __init__(self, client: redis.Redis, listener: DirectListener) -> None:
        self._client = client
        self._listener = listener
        self._listens = f"{CHANNEL}{uuid4()}"
        self._pubsub: Any = None

    def take(self, call_id: UUID) -> TakenCall | None:
        """Ask the gateway for the request of a call; None if the caller is gone."""
        with broker_errors():
            if self._pubsub is None:
                self._pubsub = self._client.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]
                self._pubsub.subscribe(self._listens)
                self._pubsub.get_message(timeout=ANSWER_SECONDS)  # the confirmation
            if not self._client.publish(gateway_channel(call_id), READY + call_id.bytes + self._listens.encode()):
                return None
            request = self._receive(call_id)
        return TakenCall(call_id=call_id, request=InstantRequest.decode(request)) if request else None

    def finish(self, call_id: UUID, outcome: InstantOutcome, result: bytes = b"") -> bool:
        """Hand over an outcome, with the bytes of a result if there is one; False if the caller is gone."""
        gateway, direct = gateway_channel(call_id), result if len(result) <= DIRECT_BYTES else b""
        head = outcome_head(outcome, len(result), self._listener.direct)
        with broker_errors():
            if not self._client.publish(gateway, b"".join((OUTCOME, call_id.bytes, head, b"\n", direct))):
                return False
            if direct or not result:
                return True
            wanted = self._receive(call_id) == SEND
            return wanted and bool(self._client.publish(gateway, b"".join((RESULT, call_id.bytes, result))))

    def _receive(self, call_id: UUID) -> bytes | None:
        """Return what the gateway sends next about a call; None if nothing comes."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            message = self._pubsub.get_message(timeout=left)
            # Not what was sent too late about an earlier call, nor the confirmation of a renewed connection.
            if message and message["type"] == "message" and message["data"].startswith(call_id.bytes):
                return bytes(message["data"][ID_BYTES:])
        return None
