"""OperatorService: subscribers of the newsletter, and reports about their e-mails."""

from collections.abc import AsyncIterator

from imageblur.v1 import operator_newsletter_pb2 as pb
from sqlalchemy import select

from services.common.db.clock import now
from services.common.db.mail import subscriber_lists
from services.common.db.mail.subscriber_lists import ImportCounts
from services.common.db.models import Subscriber
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.mail import SubscriberState
from services.common.domain.mail_reports import MAX_BYTES
from services.gateway.operator.base import Context, OperatorBase, audit_context
from services.gateway.operator.orders.order_filters import parse_time
from services.gateway.rpc import paging
from services.gateway.rpc.fields import parse_email, parse_locale
from services.gateway.rpc.timestamps import timestamp
from services.gateway.subscriptions.csv_rows import MAX_SOURCE_CHARACTERS, ImportDefaults

MAX_DETAIL_CHARACTERS = 200


class SubscriberServicer(OperatorBase):
    """The RPCs of subscribers."""

    async def CountSubscribers(
        self, request: pb.CountSubscribersRequest, context: Context
    ) -> pb.CountSubscribersResponse:
        """Count subscribers by state."""
        counts = await self.read(subscriber_lists.count)
        by_state = {state: counts.states.get(state, 0) for state in SubscriberState}
        return pb.CountSubscribersResponse(
            confirmed=by_state[SubscriberState.CONFIRMED],
            pending=by_state[SubscriberState.PENDING],
            unsubscribed=by_state[SubscriberState.UNSUBSCRIBED],
            suppressed=by_state[SubscriberState.SUPPRESSED],
            locales=counts.locales,
            with_time_zone=counts.with_time_zone,
            suppressions={name.lower(): number for name, number in counts.suppressions.items()},
        )

    async def ListSubscribers(self, request: pb.ListSubscribersRequest, context: Context) -> pb.ListSubscribersResponse:
        """List subscribers by address."""
        size = paging.parse_size(request.page_size)
        state, position = _state(request.state), paging.parse_token(request.page_token, str)
        found = await self.read(
            lambda session: subscriber_lists.list_page(
                session,
                after=position[0] if position else None,
                limit=size + 1,
                state=state,
                search=request.search.strip(),
            )
        )
        page, last = paging.split_page(found, size)
        return pb.ListSubscribersResponse(
            subscribers=map(_subscriber_message, page),
            next_page_token=paging.make_token(last.email_key) if last else "",
        )

    async def ImportSubscribers(
        self, requests: AsyncIterator[pb.ImportSubscribersRequest], context: Context
    ) -> pb.ImportSubscribersResponse:
        """Subscribe the addresses of a CSV file."""
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument(Violation("start", "must be the first message"))
        time = await self.read(lambda session: session.scalar(select(now())) or 0)
        defaults = _defaults(first.start, time)
        importing = await self.threads.run(self.subscribers.begin_import, audit_context(), defaults)
        async for request in requests:
            if request.HasField("start"):
                raise InvalidArgument(Violation("start", "must be the first message only"))
            await self.threads.run(importing.feed, request.data)
        await self.threads.run(importing.feed, b"", final=True)
        return _import_message(importing.counts)

    async def ExportSubscribers(
        self, request: pb.ExportSubscribersRequest, context: Context
    ) -> AsyncIterator[pb.ExportSubscribersResponse]:
        """Stream subscribers as CSV."""
        state = _state(request.state)
        async for data in self.threads.iterate(self.subscribers.export(audit_context(), state)):
            yield pb.ExportSubscribersResponse(data=data)

    async def SuppressSubscriber(
        self, request: pb.SuppressSubscriberRequest, context: Context
    ) -> pb.SuppressSubscriberResponse:
        """Suppress an address."""
        email, key = parse_email(request.email)
        if len(request.detail) > MAX_DETAIL_CHARACTERS:
            raise InvalidArgument(Violation("detail", f"must be at most {MAX_DETAIL_CHARACTERS} characters"))
        suppressed = await self.threads.run(self.subscribers.suppress, audit_context(), email, key, request.detail)
        return pb.SuppressSubscriberResponse(suppressed=suppressed)

    async def RecordMailReport(
        self, request: pb.RecordMailReportRequest, context: Context
    ) -> pb.RecordMailReportResponse:
        """Record a bounce or a complaint."""
        if not request.message:
            raise InvalidArgument(Violation("message", "is required"))
        recorded = await self.threads.run(self.mail_reports, request.message[:MAX_BYTES], audit_context())
        names = {
            "SOFT": pb.MAIL_REPORT_KIND_SOFT_BOUNCE,
            "HARD": pb.MAIL_REPORT_KIND_HARD_BOUNCE,
            "COMPLAINT": pb.MAIL_REPORT_KIND_COMPLAINT,
        }
        return pb.RecordMailReportResponse(
            kind=names[recorded.kind] if recorded.kind else pb.MAIL_REPORT_KIND_UNSPECIFIED,
            matched=recorded.matched,
            suppressed=recorded.suppressed,
            status=recorded.status,
        )


def _defaults(start: pb.ImportStart, time: int) -> ImportDefaults:
    if start.consent not in {pb.IMPORT_CONSENT_DOUBLE_OPT_IN, pb.IMPORT_CONSENT_ATTESTED}:
        raise InvalidArgument(Violation("start.consent", "is required"))
    if len(start.source) > MAX_SOURCE_CHARACTERS:
        raise InvalidArgument(Violation("start.source", f"must be at most {MAX_SOURCE_CHARACTERS} characters"))
    consent_at = parse_time(start.consent_time, "start.consent_time") if start.HasField("consent_time") else None
    if consent_at is not None and consent_at > time:
        raise InvalidArgument(Violation("start.consent_time", "is in the future"))
    return ImportDefaults(
        attested=start.consent == pb.IMPORT_CONSENT_ATTESTED,
        source=start.source.strip(),
        consent_at=consent_at,
        locale=parse_locale(start.locale),
        now=time,
    )


def _import_message(counts: ImportCounts) -> pb.ImportSubscribersResponse:
    return pb.ImportSubscribersResponse(
        confirmed=counts.confirmed,
        asked=counts.asked,
        unchanged=counts.unchanged,
        suppressed=counts.suppressed,
        unsubscribed=counts.unsubscribed,
        rejected=counts.rejected,
        rejected_lines=[pb.RejectedLine(line=line, message=message) for line, message in counts.rejected_lines],
    )


def _subscriber_message(subscriber: Subscriber) -> pb.Subscriber:
    return pb.Subscriber(
        email=subscriber.email,
        locale=subscriber.locale,
        state=pb.SubscriberState.Value(f"SUBSCRIBER_STATE_{subscriber.state}"),
        time_zone=subscriber.time_zone or "",
        source=subscriber.source or "",
        consent_time=timestamp(subscriber.consent_at),
        create_time=timestamp(subscriber.created_at),
        confirm_time=timestamp(subscriber.confirmed_at),
        suppression=pb.SuppressionReason.Value(f"SUPPRESSION_REASON_{subscriber.suppression or 'UNSPECIFIED'}"),
        suppress_time=timestamp(subscriber.suppressed_at),
        suppression_detail=subscriber.reason or "",
        soft_bounces=subscriber.soft_bounces,
    )


def _state(state: pb.SubscriberState.ValueType) -> SubscriberState | None:
    if not state:
        return None
    try:
        return SubscriberState(pb.SubscriberState.Name(state).removeprefix("SUBSCRIBER_STATE_"))
    except ValueError:
        raise InvalidArgument(Violation("state", "is unknown")) from None
