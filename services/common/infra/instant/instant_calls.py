"""Instant calls over the broker: the queue has a call's id; its image and its result are published, never stored.

Publications (pub/sub) are in no file of the broker, whatever its persistence is, and nobody but those who listen gets
them. So nothing of a call remains anywhere, whichever process is killed (ADR 30).

    gateway                                   worker
    enqueues the id                  ──────►  takes the id from the queue
                                     ◄──────  READY, where it listens
    the request                      ──────►  works
                                     ◄──────  OUTCOME, with a small result or the size of a large one
    makes room, SEND                 ──────►
                                     ◄──────  RESULT

A gateway and a worker of the same machine find each other by the outcome of their first call; the next ones go
directly from one to the other while a child process is idle (`direct_calls`).

Gateways, and threads of workers, listen on one channel each as long as they live. The first half of a call's id names
the gateway. A publication that nobody receives ends the exchange: the other side is gone.
"""

import json
from uuid import UUID

from services.common.domain.instant import InstantOutcome, outcome_to_json
from services.common.infra.instant.direct_calls import Direct

CHANNEL = "imageblur:instant:"
ID_BYTES = 16
READY, OUTCOME, RESULT, SEND = b"R", b"O", b"D", b"S"


def gateway_channel(call_id: UUID) -> str:
    """Return the channel on which the gateway of a call listens."""
    return f"{CHANNEL}{call_id.hex[:ID_BYTES]}"


def outcome_head(outcome: InstantOutcome, result_bytes: int, direct: Direct | None = None) -> bytes:
    """Return what precedes a result: the outcome, the size of the result, and where the worker takes calls."""
    values = {"outcome": outcome_to_json(outcome).decode(), "result_bytes": result_bytes}
    return json.dumps(values | ({"direct": vars(direct)} if direct else {})).encode()
