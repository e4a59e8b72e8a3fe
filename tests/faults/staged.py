"""A service as it is, with stages of its work at which it can be held: `python -m tests.faults.staged SERVICE`.

Each stage costs one failed rename; nothing else of the service is changed, but that the schedulers ask each second
whether a mailing is due, by a clock that can be moved.
"""

# Each child of a blur worker imports this module anew: whatever is heavy is imported where it is used.
import functools
import importlib
import os
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.stages import FOLDER, number, reach


def gateway() -> None:
    from tests.faults import database_clock

    database_clock.follow()
    from services.gateway.orders.placement.pending_order import PendingOrder
    from services.gateway.uploads.append import AppendCall
    from services.gateway.uploads.completion import CompleteUpload
    from services.gateway.uploads.creation import CreateUpload

    _before(PendingOrder, "commit", "gateway-commit")
    _before(CreateUpload, "_insert", "gateway-create")
    _before(AppendCall, "_record", "gateway-append")
    _before(CompleteUpload, "__call__", "gateway-complete")
    _before(CompleteUpload, "_clean_up", "gateway-placed")
    _before_sending("gateway")


def blur_worker() -> None:
    from tests.faults import database_clock

    database_clock.follow()
    from services.blur_worker.child.pool import ChildPool
    from services.blur_worker.images.blur_image import BlurImage
    from services.common.infra.blobs import BlobStore

    _before(BlurImage, "__call__", "worker-fetched")
    _before(ChildPool, "blur", "worker-claimed")
    _before(BlobStore, "store_file", "worker-storing")
    _before(BlurImage, "_record", "worker-finish")
    _before(BlurImage, "_remove_surplus_blobs", "worker-tidy")


def mailer() -> None:
    from tests.faults import database_clock

    database_clock.follow()
    from services.common.infra.outbound.shared_lookup import SharedLookup
    from services.mailer.sending.send_email import SendEmail
    from services.mailer.smtp.session import SmtpSession

    _before(SendEmail, "_prepare", "mailer-claimed")
    _after(SmtpSession, "send", "mailer-sent")
    _before(SmtpSession, "send", "mailer-smtp")
    _before(SharedLookup, "_run", "mailer-lookup")


def scheduler() -> None:
    from tests.faults import database_clock

    database_clock.follow()
    from services.scheduler import jobs
    from services.scheduler.start_mailings import StartMailings

    jobs.WEEKLY_CHECK_SECONDS = 1
    start_weekly = StartMailings.start_weekly

    def moved(self: StartMailings, now: datetime) -> object:
        reach("scheduler-weekly")
        return start_weekly(self, now + timedelta(seconds=number("clock")))

    StartMailings.start_weekly = moved  # type: ignore[assignment, method-assign]
    _before_sending("scheduler")


def set_up_blur_worker() -> None:
    """Called instead of `services.blur_worker.app.setup`."""
    from services.blur_worker import app
    from services.blur_worker.child.pool import ChildPool
    from services.blur_worker.child.process import ChildLimits
    from services.blur_worker.sandbox import Confinement
    from tests.faults import poison

    blur_worker()
    confinement = Confinement(write=(Path(os.environ[FOLDER]),), environment=(FOLDER,))
    make_pool = functools.partial(ChildPool, confinement=confinement)

    def make(count: int, limits: ChildLimits, work: Any = poison.blur_file, **options: Any) -> ChildPool:
        return make_pool(count, limits, work, **options)

    setattr(app, "ChildPool", make)  # noqa: B010 - not typed so
    app.setup()


def set_up_mailer() -> None:
    """Called instead of `services.mailer.app.setup`."""
    from services.mailer import app

    mailer()
    app.setup()


def _before(owner: Any, name: str, stage: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def held(*args: Any, **kwargs: Any) -> Any:
        reach(stage, *args[1:])
        return original(*args, **kwargs)

    setattr(owner, name, held)


def _after(owner: Any, name: str, stage: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def held(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        reach(stage, *args[1:])
        return result

    setattr(owner, name, held)


def _before_sending(service: str) -> None:
    """The moment after a commit and before its messages: `scheduler-blur_image` and the like."""
    from services.common.infra.messaging.broker import Broker

    send = Broker.send

    def held(self: Broker, messages: Iterable[Any]) -> None:
        sent = list(messages)
        for message in sent[:1]:
            reach(f"{service}-{message.actor_name}", message.args)
        send(self, sent)

    Broker.send = held  # type: ignore[method-assign]


def main() -> None:
    from services.common.infra.messaging import dramatiq_worker
    from services.common.infra.process import startup

    service = sys.argv.pop(1)
    if service in {"blur_worker", "mailer"}:
        serve = dramatiq_worker.serve
        dramatiq_worker.serve = lambda _setup, **options: serve(globals()[f"set_up_{service}"], **options)
    else:
        globals()[service]()
    startup.run(importlib.import_module(f"services.{service}.__main__").main)


if __name__ == "__main__":
    main()
