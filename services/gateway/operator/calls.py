"""What the calls of OperatorService have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

from grpc import aio
from sqlalchemy.orm import Session

from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.gateway.rpc.callers import principal
from services.gateway.rpc.thread_pool import Offload

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


def audit_context(action: str) -> AuditContext:
    """What the caller is about to do."""
    return AuditContext(principal(), action)


class OperatorCalls:
    """Statements from a call."""

    def __init__(self, database: Database, offload: Offload) -> None:
        self._database = database
        self.offload = offload

    async def read(self, look: Callable[[Session], T]) -> T:
        """What a transaction that only reads finds."""

        def run() -> T:
            with self._database.read() as session:
                return look(session)

        return await self.offload(run)

    async def write(self, change: Callable[[Session], T]) -> T:
        """What comes of a transaction that changes something."""

        def run() -> T:
            with self._database.write() as session:
                return change(session)

        return await self.offload(run)
