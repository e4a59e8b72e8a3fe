"""Subscribers for operators, over a socket, on both databases: imported, listed, exported, suppressed, reported."""

import csv
import json
from collections.abc import Iterator, Sequence
from uuid import UUID

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_newsletter_pb2 as pb
from imageblur.v1 import operator_service_pb2 as service_pb
from imageblur.v1 import subscription_service_pb2 as subscription
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import select, update

from services.common.db.engine import Database
from services.common.db.mail import emails
from services.common.db.models import AuditEntry, Email, Subscriber
from services.common.domain.mail import EmailKind
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_orders import refused
from tests.support.mail_reports import bounce, complaint, hard_bounce

ATTESTED = pb.ImportStart(
    consent=pb.IMPORT_CONSENT_ATTESTED, source="fair 2026", consent_time=Timestamp(seconds=1_700_000_000)
)
ASK = pb.ImportStart(consent=pb.IMPORT_CONSENT_DOUBLE_OPT_IN, source="fair 2026")


def parts(start: pb.ImportStart | None, *data: bytes) -> Iterator[pb.ImportSubscribersRequest]:
    if start:
        yield pb.ImportSubscribersRequest(start=start)
    for part in data:
        yield pb.ImportSubscribersRequest(data=part)


def imported(
    operator: OperatorServiceStub, text: str, start: pb.ImportStart = ATTESTED
) -> pb.ImportSubscribersResponse:
    data = text.encode()
    size = max(7, len(data) // 100)
    return operator.ImportSubscribers(parts(start, *(data[at : at + size] for at in range(0, len(data), size))))


def listed(operator: OperatorServiceStub, **by: object) -> dict[str, pb.Subscriber]:
    found = operator.ListSubscribers(pb.ListSubscribersRequest(**by)).subscribers  # type: ignore[arg-type]
    return {subscriber.email: subscriber for subscriber in found}


def rows(database: Database) -> dict[str, Subscriber]:
    with database.read() as session:
        return {row.email: row for row in session.scalars(select(Subscriber))}


def test_attested_addresses_are_confirmed_with_source_and_date(
    operator: OperatorServiceStub, database: Database
) -> None:
    text = (
        "\ufeffEmail;Language;Time_Zone;Source;Consent_Date;Name\r\n"
        "ann@example.org;ru;Europe/Moscow;;;Ann\r\n"
        '"bob@example.org";en;;stand 7;2026-05-31;\r\n'
        "ANN@example.org;en;;;;\r\n"
        "no address;en;;;;\r\n"
        "eve@example.org;en;Mars/Olympus;;;\r\n"
        "dan@example.org;en;;;2999-01-01;"
    )
    result = imported(operator, text)
    assert (result.confirmed, result.asked, result.unchanged, result.rejected) == (2, 0, 1, 3)
    assert [(line.line, line.message.partition(" ")[0]) for line in result.rejected_lines] == [
        (5, "email"),
        (6, "time_zone"),
        (7, "consent_date"),
    ]
    found = listed(operator)
    ann, bob = found["ann@example.org"], found["bob@example.org"]
    assert (ann.state, ann.locale, ann.time_zone) == (pb.SUBSCRIBER_STATE_CONFIRMED, "ru", "Europe/Moscow")
    assert (ann.source, ann.consent_time.seconds) == ("fair 2026", 1_700_000_000)
    assert (bob.source, bob.consent_time.ToJsonString()) == ("stand 7", "2026-05-31T00:00:00Z")
    again = imported(operator, text)
    assert (again.confirmed, again.unchanged) == (0, 3)
    with database.read() as session:
        assert not session.scalars(select(Email)).all(), "nobody is asked"
        entries = session.scalars(select(AuditEntry)).all()
        assert sorted(json.loads(entry.detail)["confirmed"] for entry in entries) == [0, 2]
        assert {entry.action for entry in entries} == {"ImportSubscribers"}


def test_others_are_asked_one_after_the_other(operator: OperatorServiceStub, database: Database) -> None:
    addresses = "".join(f"s{number}@example.org\n" for number in range(1200))
    result = imported(operator, addresses, ASK)
    assert (result.asked, result.confirmed, result.rejected) == (1200, 0, 0)
    with database.read() as session:
        due = sorted(session.scalars(select(Email.not_before)))
        assert {row.kind for row in session.scalars(select(Email))} == {"CONFIRM"}
    assert len(due) == 1200
    assert 119_900_000 <= due[-1] - due[0] < 180_000_000, "ten a second"
    assert {row.state for row in rows(database).values()} == {"PENDING"}
    assert imported(operator, addresses, ASK).asked == 0


def test_who_has_left_or_is_suppressed_stays_out(
    gateway: Gateway, operator: OperatorServiceStub, database: Database
) -> None:
    imported(operator, "left@example.org\nsuppressed@example.org\n")
    gateway.subscription.Unsubscribe(subscription.UnsubscribeRequest(email="left@example.org"))
    for email in ("suppressed@example.org", "unknown@example.org"):
        assert operator.SuppressSubscriber(pb.SuppressSubscriberRequest(email=email, detail="asked us")).suppressed
        assert not operator.SuppressSubscriber(pb.SuppressSubscriberRequest(email=email)).suppressed
    text = "email\nleft@example.org\nsuppressed@example.org\nunknown@example.org\nnew@example.org\n"
    result = imported(operator, text)
    assert (result.confirmed, result.unsubscribed, result.suppressed) == (1, 1, 2)
    assert rows(database)["unknown@example.org"].suppression == "OPERATOR"
    counts = operator.CountSubscribers(pb.CountSubscribersRequest())
    assert (counts.confirmed, counts.unsubscribed, counts.suppressed) == (1, 1, 2)
    assert dict(counts.suppressions) == {"operator": 2}
    restore = service_pb.LiftSuppressionRequest(email="suppressed@example.org", restore=True)
    assert operator.LiftSuppression(restore).lifted
    assert not operator.LiftSuppression(restore).lifted
    assert rows(database)["suppressed@example.org"].state == "CONFIRMED"
    assert operator.LiftSuppression(service_pb.LiftSuppressionRequest(email="unknown@example.org")).lifted
    assert rows(database)["unknown@example.org"].state == "UNSUBSCRIBED"


def test_an_export_can_be_imported(operator: OperatorServiceStub, database: Database) -> None:
    imported(operator, "email,language,time_zone,source\n=ann@example.org,ru,Europe/Paris,@stand\nbob@example.org,,,\n")
    operator.SuppressSubscriber(pb.SuppressSubscriberRequest(email="bob@example.org", detail="=1+1"))

    def export() -> bytes:
        return b"".join(part.data for part in operator.ExportSubscribers(pb.ExportSubscribersRequest()))

    exported = list(csv.DictReader(export().decode().splitlines()))
    assert [row["email"] for row in exported] == ["'=ann@example.org", "bob@example.org"], "no formulas"
    assert (exported[0]["state"], exported[1]["state"], exported[1]["detail"]) == ("CONFIRMED", "SUPPRESSED", "'=1+1")
    text = export().decode()
    with database.write() as session:
        session.execute(Subscriber.__table__.delete())  # type: ignore[attr-defined]
    result = imported(operator, text)
    assert (result.confirmed, result.rejected) == (1, 1), "only confirmed ones are imported"
    (ann,) = rows(database).values()
    assert (ann.email, ann.locale, ann.time_zone, ann.source) == ("=ann@example.org", "ru", "Europe/Paris", "@stand")
    state = pb.ExportSubscribersRequest(state=pb.SUBSCRIBER_STATE_PENDING)
    assert len(b"".join(part.data for part in operator.ExportSubscribers(state)).splitlines()) == 1


def test_lists_are_paginated_filtered_and_searched(operator: OperatorServiceStub) -> None:
    imported(operator, "".join(f"s{number}@example.org\n" for number in range(5)) + "a_b@example.net\n")
    first = operator.ListSubscribers(pb.ListSubscribersRequest(page_size=4))
    rest = operator.ListSubscribers(pb.ListSubscribersRequest(page_size=4, page_token=first.next_page_token))
    assert len({row.email for row in (*first.subscribers, *rest.subscribers)}) == 6
    assert not rest.next_page_token
    assert set(listed(operator, search="A_B")) == {"a_b@example.net"}, "no wildcard"
    assert listed(operator, state=pb.SUBSCRIBER_STATE_PENDING) == {}


@pytest.mark.parametrize(
    ("start", "data"),
    [
        (None, b"email\n"),
        (pb.ImportStart(source="x"), b"email\n"),
        (ATTESTED, b"name,phone\nAnn,1\n"),
        (ATTESTED, b"email\nann@\xff.org\n"),
        (ATTESTED, b"email\n" + b"x" * 5_000),
        (
            pb.ImportStart(consent=pb.IMPORT_CONSENT_ATTESTED, consent_time=Timestamp(seconds=1 << 35), source="x"),
            b"email\n",
        ),
    ],
)
def test_an_import_that_cannot_be_read_is_refused(
    operator: OperatorServiceStub, start: pb.ImportStart | None, data: bytes
) -> None:
    refused(grpc.StatusCode.INVALID_ARGUMENT, operator.ImportSubscribers, parts(start, data))


def test_a_source_and_a_date_are_required(operator: OperatorServiceStub) -> None:
    without = pb.ImportStart(consent=pb.IMPORT_CONSENT_ATTESTED)
    result = imported(operator, "email,source,consent_date\na@example.org,,2026-01-01\nb@example.org,fair,\n", without)
    assert [line.message.partition(" ")[0] for line in result.rejected_lines] == ["source", "consent_date"]


def test_a_time_zone_is_subscribed_if_it_is_one(gateway: Gateway, database: Database) -> None:
    subscribe = gateway.subscription.Subscribe
    subscribe(subscription.SubscribeRequest(email="ann@example.org", time_zone="Asia/Tokyo"))
    assert rows(database)["ann@example.org"].time_zone == "Asia/Tokyo"
    request = subscription.SubscribeRequest(email="ann@example.org", time_zone="Asia/Nowhere")
    refused(grpc.StatusCode.INVALID_ARGUMENT, subscribe, request)


def sent_email(database: Database, address: str, kind: EmailKind = EmailKind.CONFIRM) -> UUID:
    with database.write() as session:
        subscriber_id = session.scalars(select(Subscriber.id).where(Subscriber.email == address)).one()
        email_id = emails.insert_subscriber_email(session, subscriber_id, EmailKind.CONFIRM)
        session.execute(update(Email).where(Email.id == email_id).values(state="SENT", sent_at=1, kind=kind))
    return email_id


def record(operator: OperatorServiceStub, message: bytes) -> pb.RecordMailReportResponse:
    return operator.RecordMailReport(pb.RecordMailReportRequest(message=message))


def test_a_hard_bounce_suppresses_at_once(operator: OperatorServiceStub, database: Database) -> None:
    imported(operator, "ann@example.org\n")
    report = hard_bounce(sent_email(database, "ann@example.org"))
    recorded = record(operator, report)
    assert (recorded.kind, recorded.matched, recorded.suppressed) == (pb.MAIL_REPORT_KIND_HARD_BOUNCE, True, True)
    again = record(operator, report)
    assert (again.matched, again.suppressed) == (True, False)
    ann = listed(operator)["ann@example.org"]
    assert (ann.state, ann.suppression) == (pb.SUBSCRIBER_STATE_SUPPRESSED, pb.SUPPRESSION_REASON_NO_MAILBOX)
    assert ann.suppression_detail.startswith("5.1.1 ")
    assert "ann@" not in ann.suppression_detail


def test_a_complaint_suppresses_and_is_not_restored(operator: OperatorServiceStub, database: Database) -> None:
    imported(operator, "ann@example.org\n")
    recorded = record(operator, complaint(sent_email(database, "ann@example.org")))
    assert (recorded.kind, recorded.suppressed) == (pb.MAIL_REPORT_KIND_COMPLAINT, True)
    request = service_pb.LiftSuppressionRequest(email="ann@example.org", restore=True)
    refused(grpc.StatusCode.FAILED_PRECONDITION, operator.LiftSuppression, request)
    assert operator.LiftSuppression(service_pb.LiftSuppressionRequest(email="ann@example.org")).lifted


def test_a_complainer_that_is_erased_is_not_imported_again(operator: OperatorServiceStub, database: Database) -> None:
    imported(operator, "ann@example.org\n")
    record(operator, complaint(sent_email(database, "ann@example.org")))
    operator.ErasePersonalData(service_pb.ErasePersonalDataRequest(email="ann@example.org"))
    assert rows(database) == {}
    assert imported(operator, "ann@example.org\n").suppressed == 1


def test_what_is_no_report_or_of_no_email_changes_nothing(operator: OperatorServiceStub, database: Database) -> None:
    assert not record(operator, b"Subject: hello\n\nhello").kind
    unknown = record(operator, hard_bounce(UUID(int=1)))
    assert (unknown.kind, unknown.matched) == (pb.MAIL_REPORT_KIND_HARD_BOUNCE, False)
    large = record(operator, b"Subject: hello\n\n" + b"x" * (510 << 10))
    assert not large.kind
    refused(grpc.StatusCode.INVALID_ARGUMENT, operator.RecordMailReport, pb.RecordMailReportRequest())
    with database.read() as session:
        assert not session.scalars(select(AuditEntry)).all()


def _days_pass(database: Database, days: int) -> None:
    with database.write() as session:
        back = days * 24 * 3600 * 1_000_000
        session.execute(update(Subscriber).values(soft_bounced_at=Subscriber.soft_bounced_at - back))


def _newsletter_bounces(operator: OperatorServiceStub, database: Database, statuses: Sequence[str]) -> list[bool]:
    from tests.support.mail_factories import make_mailing

    results = []
    for status in statuses:
        mailing_id = make_mailing(database)
        email_id = sent_email(database, "ann@example.org")
        with database.write() as session:
            session.execute(
                update(Email).where(Email.id == email_id).values(kind=EmailKind.NEWSLETTER, mailing_id=mailing_id)
            )
        results.append(record(operator, bounce(email_id, status=status)).suppressed)
    return results


def test_soft_bounces_suppress_when_they_go_on(operator: OperatorServiceStub, database: Database) -> None:
    imported(operator, "ann@example.org\n")
    assert _newsletter_bounces(operator, database, ["5.2.2"] * 4) == [False] * 4, "one a day counts"
    _days_pass(database, 7)
    assert _newsletter_bounces(operator, database, ["4.4.7"]) == [False]
    _days_pass(database, 31)
    assert _newsletter_bounces(operator, database, ["4.4.7"]) == [False], "a new row"
    _days_pass(database, 7)
    assert _newsletter_bounces(operator, database, ["5.7.1"]) == [False]
    _days_pass(database, 7)
    assert _newsletter_bounces(operator, database, ["5.2.2"]) == [True]
    assert listed(operator)["ann@example.org"].suppression == pb.SUPPRESSION_REASON_SOFT_BOUNCES
