"""What operators are answered, from rows. No address is shown in full."""

import json
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_pb2, order_pb2

from services.common.db.clock import SECOND
from services.common.db.mail.mailings import MailingProgress
from services.common.db.models import ApiKey, AuditEntry, PausedQueue, WorkerSeen
from services.common.db.orders.orders import Snapshot
from services.common.db.queues.depths import Depth
from services.common.db.queues.statistics import Point
from services.gateway.orders.responses import email_hint, order_message, timestamp

_ADDRESS = re.compile(r"[^\s<>@\"':;,()]+@[^\s<>@\"':;,()]+")


def redacted(text: str | None) -> str:
    """A text, a mail server's perhaps, without the addresses that it names."""
    return _ADDRESS.sub(lambda found: email_hint(found[0]), text or "")


def queue_message(
    name: str, depth: Depth, messages: tuple[int, int] | None, pause: PausedQueue | None
) -> operator_pb2.Queue:
    """A queue; `messages`: waiting and handed out in the broker, None where it cannot be asked."""
    waiting, in_flight = messages or (-1, -1)
    return operator_pb2.Queue(
        name=name,
        paused=pause is not None,
        pause_time=timestamp(pause.paused_at) if pause else None,
        paused_by=pause.paused_by if pause else "",
        depth=waiting,
        in_flight=in_flight,
        waiting=depth.waiting,
        running=depth.running,
        failed=depth.failed,
        oldest_time=timestamp(depth.oldest_at),
    )


def worker_message(worker: WorkerSeen, *, alive: bool) -> operator_pb2.Worker:
    """A worker."""
    return operator_pb2.Worker(
        worker_id=str(worker.id),
        queue=worker.queue,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        slots=worker.slots,
        busy=worker.busy,
        start_time=timestamp(worker.started_at),
        seen_time=timestamp(worker.seen_at),
        alive=alive,
    )


def order_entry(snapshot: Snapshot) -> operator_pb2.OrderEntry:
    """An order in a list."""
    message = order_message(snapshot)
    message.ClearField("estimated_remaining")
    return operator_pb2.OrderEntry(order=message, principal=snapshot.order.principal)


def failure_entry(row: Any) -> operator_pb2.FailureEntry:
    """A failure, from a row of `failures.page`."""
    return operator_pb2.FailureEntry(
        failure_id=str(row.id),
        kind=operator_pb2.FailureKind.Value(f"FAILURE_KIND_{row.kind}"),
        failure=order_pb2.Failure(
            reason=order_pb2.FailureReason.Value(f"FAILURE_REASON_{row.reason}"), message=redacted(row.message)
        ),
        order_id=str(row.order_id) if row.order_id else "",
        position=row.position,
        attempts=row.attempts,
        fail_time=timestamp(row.time or None),
        retriable=bool(row.retriable),
    )


def failure_group(row: Any) -> operator_pb2.FailureGroup:
    """Failures of one kind and reason, from a row of `failures.groups`."""
    return operator_pb2.FailureGroup(
        kind=operator_pb2.FailureKind.Value(f"FAILURE_KIND_{row.kind}"),
        reason=order_pb2.FailureReason.Value(f"FAILURE_REASON_{row.reason}"),
        message=redacted(row.message),
        count=row[2],
    )


def skipped_message(skipped: tuple[UUID, str]) -> operator_pb2.SkippedFailure:
    """A failure that was left as it is."""
    failure_id, why = skipped
    return operator_pb2.SkippedFailure(failure_id=str(failure_id), message=why)


def point_message(point: Point) -> operator_pb2.StatisticsPoint:
    """What was done in a step."""
    message = operator_pb2.StatisticsPoint(
        start_time=timestamp(point.start),
        orders=point.orders,
        images_succeeded=point.succeeded,
        images_failed=point.failed,
        emails_sent=point.emails,
    )
    for name, values in (("wait", point.waits), ("work", point.works)):
        for share in (50, 95):
            if values:
                getattr(message, f"{name}_p{share}").CopyFrom(duration(percentile(values, share)))
    return message


def percentile(values: Sequence[int], share: int) -> int:
    """The least of the values (at least one) that so many in a hundred do not exceed."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]


def duration(microseconds: int) -> Duration:
    """A length of time."""
    return Duration(seconds=microseconds // SECOND, nanos=microseconds % SECOND * 1000)


def mailing_message(progress: MailingProgress) -> operator_pb2.Mailing:
    """A mailing as it stands."""
    mailing, emails = progress.mailing, progress.emails
    # PREPARING was a state of former versions.
    state = "SENDING" if mailing.state == "PREPARING" else mailing.state
    return operator_pb2.Mailing(
        mailing_id=str(mailing.id),
        period=mailing.period,
        state=operator_pb2.MailingState.Value(f"MAILING_STATE_{state}"),
        recipients=mailing.recipients,
        trouble=redacted(mailing.message),
        due_time=timestamp(mailing.due_at),
        create_time=timestamp(mailing.created_at),
        finish_time=timestamp(mailing.finished_at),
        queued=emails.get("QUEUED", 0),
        sending=emails.get("SENDING", 0),
        sent=emails.get("SENT", 0),
        failed=emails.get("FAILED", 0),
        cancelled=emails.get("CANCELLED", 0),
    )


def key_message(row: ApiKey) -> operator_pb2.ApiKey:
    """What is known of a key."""
    return operator_pb2.ApiKey(
        api_key_id=str(row.id),
        name=row.name,
        role=operator_pb2.ApiKeyRole.Value(f"API_KEY_ROLE_{row.role}"),
        hint=row.hint,
        create_time=timestamp(row.created_at),
        created_by=row.created_by,
        rotate_time=timestamp(row.rotated_at),
        expire_time=timestamp(row.expires_at),
        revoke_time=timestamp(row.revoked_at),
        use_time=timestamp(row.last_used_at),
    )


def audit_message(row: AuditEntry) -> operator_pb2.AuditEntry:
    """What an operator did."""
    return operator_pb2.AuditEntry(
        entry_id=str(row.id),
        create_time=timestamp(row.created_at),
        principal=row.principal,
        action=row.action,
        subject=row.subject,
        detail="" if row.detail == json.dumps({}) else row.detail,
    )
