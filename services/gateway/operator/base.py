"""What the parts of OperatorService share: their use cases and transactions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grpc import aio
from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.mail_reports import RecordMailReports
from services.gateway.operator.access.personal_data import PersonalData
from services.gateway.operator.mail.subscribers import SubscriberOperations
from services.gateway.operator.operator_jobs import OperatorJobs
from services.gateway.operator.orders.order_actions import OrderActions
from services.gateway.operator.queues.failures import FailureOperations
from services.gateway.operator.queues.queues import QueueOperations
from services.gateway.operator.queues.statistics import Statistics
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.rpc.callers import audit_context
from services.gateway.rpc.thread_pool import ThreadPool

__all__ = ["Context", "OperatorBase", "audit_context"]

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OperatorBase:
    """Base of the parts of OperatorService."""

    database: Database
    threads: ThreadPool
    queues: QueueOperations
    order_actions: OrderActions
    models: AvailableModels
    failures: FailureOperations
    jobs: OperatorJobs
    personal_data: PersonalData
    after_commit: AfterCommit
    subscribers: SubscriberOperations
    mail_reports: RecordMailReports
    statistics: Statistics = field(default_factory=Statistics)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Return the result of a query in a read transaction."""

        def run() -> T:
            with self.database.read() as session:
                return query(session)

        return await self.threads.run(run)

    async def write(self, change: Callable[[Session], T]) -> T:
        """Return the result of a change in a write transaction."""

        def run() -> T:
            with self.database.write() as session:
                return change(session)

        return await self.threads.run(run)
