"""Posts an event to its webhook, and records what came of it in its row."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database, retry_unavailable
from services.common.db.webhooks import events, secrets
from services.common.db.webhooks.events import WebhookClaim
from services.common.domain.addresses import BadUrl, parse_url
from services.common.domain.follow_up import FollowUp
from services.common.infra import log
from services.common.infra.leases import LEASE_SECONDS, Leases
from services.common.infra.messaging.messages import WEBHOOK_QUEUE
from services.common.infra.outbound.errors import OutboundError
from services.common.infra.outbound.host_shares import HostShares
from services.common.infra.outbound.https import HttpsClient
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.common.use_cases.after_commit import AfterCommit
from services.mailer import metrics

ATTEMPT_SECONDS = 20.0
"""Longest time for an attempt; Standard Webhooks recommends 15 to 30."""
LONGEST_WAIT_SECONDS = 6 * 3600.0
"""Longest wait that a receiver may ask for (Retry-After)."""
CROWDED_SECONDS = 1.0
"""After so long an event is tried again whose host has as many connections as it may have."""
GONE = 410

_log = log.get(__name__)


@dataclass(frozen=True)
class RenewWebhookLeases:
    """Extends leases in one statement."""

    database: Database

    def __call__(self, owners: Sequence[UUID]) -> None:
        """Extend the leases of these owners."""
        with self.database.write(durable=False) as session:
            events.renew_leases(session, owners, lease_seconds=LEASE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    name: str
    """For log and metrics."""
    message: str
    """For callers and operators."""
    wait: float = 0.0
    """Seconds that the receiver asks to wait."""


@dataclass(frozen=True, kw_only=True)
class SendWebhook:
    """The use case, with its dependencies."""

    database: Database
    after_commit: AfterCommit
    leases: Leases
    client: HttpsClient
    secrets: WebhookSecrets
    hosts: HostShares
    stopping: threading.Event = field(default_factory=threading.Event)
    seconds: float = ATTEMPT_SECONDS

    def __call__(self, event_id: UUID) -> None:
        """Post an event if it is still to be posted, and record the outcome in its row."""
        if self.stopping.is_set():
            return  # the sweep enqueues it again
        with self.database.write(durable=False) as session:
            claim = events.claim_event(session, event_id, lease_seconds=LEASE_SECONDS)
        if claim is None:
            _log.debug("webhook", queue=WEBHOOK_QUEUE, webhook_event=str(event_id), outcome="NOTHING_TO_DO")
            return
        start = time.monotonic()
        with self.leases.hold(claim.owner):
            outcome = self._attempt(claim)
            recorded = retry_unavailable(partial(self._record, claim, outcome))
        if recorded:
            self.after_commit(FollowUp(ended_order_ids=[claim.order_id]))
        seconds = time.monotonic() - start
        metrics.webhook_done(outcome.name, seconds)
        _log.info(
            "webhook",
            queue=WEBHOOK_QUEUE,
            webhook_event=str(event_id),
            order=str(claim.order_id),
            outcome=outcome.name,
            attempts=claim.attempts,
            seconds=round(seconds, 4),
        )

    def _attempt(self, claim: WebhookClaim) -> _Outcome:
        try:
            url = parse_url(claim.url)
        except BadUrl as error:  # accepted by another version
            return _Outcome(name="GONE", message=f"the address {error}")
        with self.hosts.hold(url.host) as free:
            if not free:
                return _Outcome(name="POSTPONED", message="")
            body = claim.payload.encode()
            with self.database.read() as session:
                versions = secrets.get_versions(session, claim.principal).signing
                # Receivers refuse an event whose time is wrong, as this machine's may be.
                seconds = (session.scalar(select(now())) or 0) // SECOND
            signed = self.secrets.headers(claim.principal, versions, claim.event_id, seconds, body)
            headers = {"Content-Type": "application/json"} | signed
            try:
                with self.client.request("POST", url, body=body, headers=headers, seconds=self.seconds) as answer:
                    status, wait = answer.status, answer.retry_after or 0.0
            except OutboundError as error:
                return _Outcome(name="UNREACHABLE", message=str(error))
        if 200 <= status < 300:
            return _Outcome(name="DELIVERED", message=f"HTTP {status}")
        if status == GONE:
            return _Outcome(name="GONE", message="HTTP 410: the receiver wants no more events of this order")
        if 300 <= status < 400:
            return _Outcome(name="REFUSED", message=f"HTTP {status}: redirects are not followed")
        return _Outcome(name="REFUSED", message=f"HTTP {status}", wait=min(wait, LONGEST_WAIT_SECONDS))

    def _record(self, claim: WebhookClaim, outcome: _Outcome) -> bool:
        with self.database.write() as session:
            return _finish(session, claim, outcome)


def _finish(session: Session, claim: WebhookClaim, outcome: _Outcome) -> bool:
    match outcome.name:
        case "DELIVERED":
            return events.finish_delivered(session, claim, message=outcome.message)
        case "GONE":
            return events.finish_failed(session, claim, message=outcome.message)
        case "POSTPONED":
            return events.postpone(session, claim, seconds=CROWDED_SECONDS)
        case _:
            return events.retry_later(session, claim, message=outcome.message, at_least=outcome.wait)
