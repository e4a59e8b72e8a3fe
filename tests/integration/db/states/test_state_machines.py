"""State machines over the statements, the sweep and the request for mail, on both databases."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.scheduler import sweep
from tests.integration.db.states.mail_machine import MailMachine
from tests.integration.db.states.mailing_machine import MailingMachine
from tests.integration.db.states.order_machine import OrderMachine
from tests.integration.db.states.revision_machine import RevisionMachine
from tests.integration.db.states.subscriber_machine import SubscriberMachine
from tests.integration.db.states.upload_machine import UploadMachine

BOUNDED = settings(
    max_examples=10,
    stateful_step_count=40,
    deadline=None,  # a step takes as long as a loaded machine makes it take
    phases=(Phase.reuse, Phase.generate),  # over a database, shrinking takes minutes: add Phase.shrink to look closer
)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine, too, messages grow old only where a rule says so."""
    monkeypatch.setattr(sweep, "RESEND_SECONDS", 3600)


@pytest.mark.parametrize("machine", [OrderMachine, MailMachine])
def test_orders(machine: type[OrderMachine], database: Database, blobs: BlobStore) -> None:
    run(lambda: machine(database, blobs))


@pytest.mark.parametrize("machine", [UploadMachine, SubscriberMachine, MailingMachine, RevisionMachine])
def test_beside_orders(machine: Callable[[Database], RuleBasedStateMachine], database: Database) -> None:
    run(lambda: machine(database))


def run(machine: Callable[[], RuleBasedStateMachine]) -> None:
    # It is annotated to take a class, but calls it without arguments, as it would this.
    run_state_machine_as_test(machine, settings=BOUNDED)  # type: ignore[arg-type]
