"""`imageblur admin` against a real gateway that wants keys."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from imageblur.v1 import blur_service_pb2 as blur
from imageblur_client.cli import app
from imageblur_client.cli.errors import ExitCode
from sqlalchemy import update
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from services.common.db.engine import Database
from services.common.db.mail import subscribers
from services.common.db.models import Email
from services.common.domain.api_keys import Role
from services.gateway.rpc import key_cache
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.operating import UNLUCKY, work
from tests.integration.gateway.operator.test_keys import bearer, known, make
from tests.integration.gateway.test_orders import HEADER, PICTURE
from tests.support.mail_reports import hard_bounce

__all__ = ["make"]

Run = Callable[..., Result]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is printed does not depend on the database."""
    return sqlite_url


@pytest.fixture
def gateway(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr(key_cache, "REFRESH_SECONDS", 0.05)
    # What the gateway logs would be in what the commands print.
    with capture_logs(), running(settings.model_copy(update={"require_keys": True})) as gateway:
        yield gateway


@pytest.fixture
def run(gateway: Gateway, make: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `imageblur admin …` with a key of a role, an administrator's by default."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, role: Role = Role.ADMIN, stdin: bytes | None = None) -> Result:
        file = tmp_path / f"{role}.key"
        if not file.exists():
            file.write_text(make(role) + "\n", "ascii")
            known(gateway, file.read_text("ascii").strip())
        common = ["--server", f"127.0.0.1:{gateway.port}", "--key-file", str(file), "admin"]
        done = CliRunner().invoke(app, [*common, *arguments], input=stdin)
        print(*arguments, done.exit_code, done.output, done.exception or "")  # pytest shows it if the test fails
        return done

    return run


@pytest.fixture
def order_id(gateway: Gateway, run: Run, tmp_path: Path, database: Database) -> str:
    """An order whose only image has failed."""
    run("queues")
    key = (tmp_path / "ADMIN.key").read_text("ascii").strip()
    placed = gateway.blur.BlurOrder(blur.BlurOrderRequest(order=HEADER, images=[PICTURE]), metadata=bearer(key)).order
    request = blur.StatusRequest(order_id=placed.order_id, view=blur.ORDER_VIEW_FULL)
    (image,) = gateway.blur.Status(request, metadata=bearer(key)).images
    work(database, image.image_id, UNLUCKY)
    return placed.order_id


def test_queues_are_shown_paused_and_resumed(run: Run) -> None:
    assert run("pause", "blur").exit_code == ExitCode.OK
    shown = run("queues").stdout
    assert "blur     paused by key:" in shown
    assert [json.loads(line)["name"] for line in run("queues", "--json").stdout.splitlines()] == [
        "blur",
        "find",
        "fetch",
        "instant",
        "mail",
        "mailing",
        "webhook",
    ]
    assert run("resume", "blur").exit_code == ExitCode.OK
    assert "paused" not in run("queues").stdout
    assert run("pause", "nonsense").exit_code == ExitCode.NOT_FOUND
    assert run("purge", "blur", "--yes").stdout == "Cancelled: 0 orders.\n"
    assert run("purge", "blur").exit_code == 1, "nobody has said yes"
    assert run("workers").stdout == "none\n"


def test_an_order_is_found_and_traced(run: Run, order_id: str) -> None:
    assert order_id in run("orders", "--state", "failed", "--email", "ann@example.org").stdout
    assert run("orders", "--state", "succeeded").stdout == "none\n"
    assert run("orders", "--state", "nonsense").exit_code == ExitCode.USAGE
    traced = run("trace", order_id).stdout
    assert [line.split("  ")[0] for line in traced.splitlines()] == ["step", "upload", "order", "image queued", "image"]
    assert UNLUCKY.message in traced
    assert "wait p50" in run("stats", "--minutes", "10").stdout


def test_a_failure_is_listed_retried_and_dismissed(run: Run, order_id: str, database: Database) -> None:
    listed = run("failures", "--reason", "timed-out", "--order", order_id).stdout
    assert UNLUCKY.message in listed
    assert "1 image: timed out" in listed
    assert run("failures", "--kind", "email").stdout == "none\n"
    (failure,) = [json.loads(line) for line in run("failures", "--json").stdout.splitlines()]
    assert run("retry", failure["failure_id"]).stdout == "1 failure retried.\n"
    assert run("retry").exit_code == ExitCode.REFUSED
    assert "has not failed" in run("retry", failure["failure_id"]).stderr
    work(database, failure["failure_id"], UNLUCKY)
    assert run("dismiss", "--all", "--yes").stdout == "1 failure dismissed.\n"
    assert run("failures").stdout == "none\n"


def test_keys_are_made_rotated_revoked_and_audited(run: Run, gateway: Gateway) -> None:
    made = run("create-key", "--role", "client", "--name", "Ada", "--days", "7")
    key = made.stdout.strip()
    known(gateway, key)
    identity = made.stderr.split()[3].rstrip(";")
    assert "Ada" in run("keys").stdout
    assert run("create-key", "--role", "nonsense").exit_code == ExitCode.USAGE
    rotated = run("rotate-key", identity).stdout.strip()
    known(gateway, rotated)
    assert run("revoke-key", identity).exit_code == ExitCode.OK
    assert "Ada" not in run("keys").stdout
    assert "Ada" in run("keys", "--all").stdout
    audited = run("audit").stdout
    assert [line.split()[4] for line in audited.splitlines()[1:4]] == ["RevokeApiKey", "RotateApiKey", "CreateApiKey"]
    assert not any(secret in audited + run("keys", "--all").stdout for secret in (key, rotated))


def test_a_viewer_is_refused_with_a_sentence(run: Run) -> None:
    refused = run("pause", "blur", role=Role.VIEWER)
    assert refused.exit_code == ExitCode.REFUSED
    assert "needs the role ADMIN" in refused.stderr
    assert run("queues", role=Role.VIEWER).exit_code == ExitCode.OK


def test_what_is_kept_of_a_person_is_printed_and_erased(run: Run, order_id: str) -> None:
    assert order_id in run("export", "ann@example.org").stdout
    assert "1 order deleted" in run("erase", "ann@example.org", "--yes").stdout
    assert order_id not in run("export", "ann@example.org").stdout


def test_orders_are_found_and_acted_on_after_a_dry_run(run: Run, order_id: str) -> None:
    listed = run("orders", "--id", order_id[:6], "--email-part", "ANN@", "--since", "1h", "--csv").stdout.splitlines()
    assert listed[0].startswith("order,state,placed")
    assert [line.partition(",")[0] for line in listed[1:]] == [order_id]
    assert run("orders", "--until", "2020-01-01").stdout == "none\n"
    assert run("orders", "--since", "sometimes").exit_code == ExitCode.USAGE
    images = run("order-images", order_id[:8]).stdout
    assert "service: timed out" in images
    assert [
        json.loads(line)["position"] for line in run("order-images", order_id[:8], "--json").stdout.splitlines()
    ] == [1]
    dry = run("extend-orders", "--all", "--state", "failed", "--days", "2", "--dry-run")
    assert dry.stdout == "Would extend 1 order.\n"
    assert run("extend-orders", order_id[:8], "--days", "2", "--yes").stdout == "1 order changed.\n"
    cancelled = run("cancel-orders", order_id, "--yes")
    assert cancelled.exit_code == ExitCode.NOT_ALL_SUCCEEDED
    assert "the order is FAILED" in cancelled.stderr
    assert run("trace", "00000000").exit_code == ExitCode.USAGE
    assert run("delete-orders", "--all", "--email-part", "ann@example", "--yes").stdout == "1 order changed.\n"
    assert run("audit", "--subject", f"orders/{order_id}", "--csv").stdout.count("DeleteOrders") == 1


@pytest.mark.usefixtures("order_id")
def test_failures_are_counted_by_cause_and_time_before_they_are_retried(run: Run) -> None:
    assert run("retry", "--all", "--cause", "file", "--dry-run").stdout == "Would retry 0 failures.\n"
    assert (
        run("retry", "--all", "--cause", "service", "--since", "today", "--dry-run").stdout
        == "Would retry 1 failure.\n"
    )
    assert run("retry", "--all", "--since", "yesterday", "--dry-run").stdout == "Would retry 0 failures.\n"
    assert "1 image: timed out (service)" in run("failures").stdout
    assert run("dismiss", "--all", "--dry-run").stdout == "Would dismiss 1 failure.\n"


def test_keys_are_restricted_and_say_so(run: Run) -> None:
    run("create-key", "--role", "client", "--name", "shop", "--scope", "orders", "--images-per-day", "500")
    (key,) = [line for line in map(json.loads, run("keys", "--json").stdout.splitlines()) if line["name"] == "shop"]
    assert key["limits"]["images_per_day"] == "500"
    restricted = run("restrict-key", key["api_key_id"], "--scope", "personal-data")
    assert "may call nothing of PERSONAL_DATA" in restricted.stderr
    assert "MiB in flight" in run("restrict-key", key["api_key_id"], "--mebibytes-in-flight", "64").stdout
    assert run("create-key", "--role", "client", "--scope", "everything").exit_code == ExitCode.USAGE
    assert "admin" in run("whoami").stdout


def test_subscribers_are_imported_listed_suppressed_and_exported(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fair.csv"
    file.write_text(
        "email,language,time_zone\nann@example.org,ru,Europe/Moscow\nbob@example.org,,\nnobody,,\n", "utf-8"
    )
    source = ("import-subscribers", str(file), "--source", "fair")
    imported = run(*source, "--consent-date", "2026-05-31")
    assert imported.exit_code == ExitCode.NOT_ALL_SUCCEEDED
    assert imported.stdout.startswith("2 confirmed, 0 asked to confirm, 0 unchanged; left out:")
    assert "line 4: email is not an e-mail address" in imported.stderr
    assert run(*source).exit_code == ExitCode.USAGE, "one kind of consent is needed"
    assert run(*source, "--consent-date", "soon").exit_code == ExitCode.USAGE
    assert run("suppress", "bob@example.org", "--yes").stdout == "Suppressed.\n"
    listed = run("subscribers", "--state", "suppressed").stdout
    assert listed.startswith("1 confirmed, 0 pending, 0 unsubscribed, 1 suppressed\n")
    assert "bob@example.org" in listed
    assert "ann@example.org" not in listed
    assert "Europe/Moscow" in run("subscribers", "--search", "ANN@").stdout
    assert "ann@example.org,ru,CONFIRMED,Europe/Moscow,fair,2026-05-31" in run("export-subscribers").stdout
    assert run("lift-suppression", "bob@example.org", "--restore").stdout == "The subscription is as before.\n"
    assert run("subscribers", "--state", "nonsense").exit_code == ExitCode.USAGE
    assert run("subscribers", role=Role.VIEWER).exit_code == ExitCode.REFUSED


def test_a_bounce_is_piped_in(run: Run, database: Database) -> None:
    with database.write() as session:
        email_id = subscribers.subscribe(
            session, email="ann@example.org", email_key="ann@example.org", locale="en", confirm=True
        )
        assert email_id
        session.execute(update(Email).values(state="SENT"))

    def piped(message: bytes) -> str:
        result = run("bounce", stdin=message)
        assert result.exit_code == ExitCode.OK
        return result.stdout

    assert piped(b"Subject: on holiday\n\nback soon") == "nothing to record: no bounce and no complaint\n"
    report = hard_bounce(email_id) + b"x" * (2 << 20)
    assert piped(report) == "hard bounce (5.1.1): the address is suppressed\n"
    assert piped(report) == "hard bounce (5.1.1): recorded\n"
    assert "of an e-mail that is not known" in piped(hard_bounce(UUID(int=1)))
