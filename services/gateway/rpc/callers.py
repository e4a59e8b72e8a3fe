"""Who is calling: known before a call's message is read, and asked for wherever it matters."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from services.common.domain.api_keys import Role


@dataclass(frozen=True)
class Caller:
    """The holder of a key, or somebody without one."""

    role: Role
    key_id: UUID | None = None

    @property
    def principal(self) -> str:
        """Whom repeated requests and the audit are about: the same before and after a key's rotation."""
        return f"key:{self.key_id}" if self.key_id else "anonymous"


@dataclass(frozen=True)
class Call:
    """A call that was let in."""

    caller: Caller
    peer: str
    """Where it comes from, as gRPC says it."""

    @property
    def counted_as(self) -> str:
        """Whose rate limits it counts to: the key's, or without one those of the network address."""
        if self.caller.key_id:
            return self.caller.principal
        kind, _, rest = self.peer.partition(":")
        # The port is another one with each connection.
        return f"{kind}:{rest.rpartition(':')[0]}" if kind in {"ipv4", "ipv6"} else kind


CALL: ContextVar[Call] = ContextVar("call")
"""Of the task that serves it."""


def counted_as() -> str:
    """Whose rate limits the call that is being served counts to; empty outside of one."""
    call = CALL.get(None)
    return call.counted_as if call else ""


def principal() -> str:
    """Of the call that is being served."""
    return CALL.get().caller.principal
