"""The queue of instant calls."""

from typing import cast
from uuid import UUID

from services.common.domain.instant import InstantOutcome
from services.common.infra.instant.instant_calls import OUTCOME, gateway_channel, outcome_head
from services.common.infra.messaging import dramatiq_private as private
from services.common.infra.messaging.broker import Broker, broker_errors
from services.common.infra.messaging.messages import INSTANT_QUEUE, run_instant_call

_WITHDRAW = "if redis.call('LREM', KEYS[1], 0, ARGV[1]) > 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end"


class InstantQueue:
    """The queue; blocking. Every method raises Unavailable without the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._keys = [private.waiting_key(broker, INSTANT_QUEUE), private.messages_key(broker, INSTANT_QUEUE)]
        self._withdraw = broker.client.register_script(_WITHDRAW)

    def enqueue(self, call_id: UUID, *, max_calls: int) -> bool:
        """Enqueue a call; False if `max_calls` wait or are worked on, over all gateways."""
        # One transaction: two calls at once cannot both take the last place.
        pipeline = self._broker.client.pipeline(transaction=True)
        pipeline.hlen(self._keys[1])
        private.enqueue(self._broker, run_instant_call(call_id), _message_id(call_id), pipeline)
        with broker_errors():
            before = int(pipeline.execute()[0])
        if before >= max_calls:
            self.withdraw(call_id)
            return False
        return True

    def withdraw(self, call_id: UUID) -> None:
        """Remove a call from the queue unless a worker has taken it."""
        with broker_errors():
            self._withdraw(keys=self._keys, args=[_message_id(call_id)])

    def refuse_waiting(self, outcome: InstantOutcome) -> int:
        """Withdraw all calls that no worker has taken, and answer them with this outcome; return their number."""
        refused = 0
        with broker_errors():
            ids = cast("list[bytes]", self._broker.client.lrange(self._keys[0], 0, -1))
            for call_id in (UUID(message_id.decode().partition(".")[0]) for message_id in ids):
                self.withdraw(call_id)
                event = b"".join((OUTCOME, call_id.bytes, outcome_head(outcome, 0), b"\n"))
                refused += bool(self._broker.client.publish(gateway_channel(call_id), event))
        return refused


def _message_id(call_id: UUID) -> str:
    return f"{call_id}.instant"
