"""Answering instant calls: crashes are tried again once, nothing is done for callers that are gone."""

from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from services.blur_worker.child.pool import ChildCrashed, ChildPool
from services.blur_worker.instant.answer_call import AnswerCall
from services.blur_worker.instant.child_work import InstantResult
from services.blur_worker.instant.exchange import TakenCall, WorkerExchange
from services.common.domain.errors import ImageError, Reason, Unavailable
from services.common.domain.findings import Check, CheckState, Inspection
from services.common.domain.instant import (
    InstantAnswer,
    InstantKind,
    InstantOutcome,
    InstantRefusal,
    InstantRequest,
    ResultTooLarge,
    outcome_from_json,
    outcome_to_json,
)
from services.common.domain.spec import BlurSpec, Effort, Find, FindingKind, Format
from services.common.infra.messaging.broker import connect

REQUEST = InstantRequest(kind=InstantKind.BLUR, spec=BlurSpec(), max_result_bytes=10, data=b"an image\n of two lines")
ANSWER = InstantAnswer(width=2, height=1, format=Format.PNG)


class FakeExchange(WorkerExchange):
    """A gateway that waits for one call, or is gone."""

    def __init__(self, request: InstantRequest | None = REQUEST) -> None:
        self.request = request
        self.outcomes: list[tuple[InstantOutcome, bytes]] = []

    def take(self, call_id: UUID) -> TakenCall | None:
        return TakenCall(call_id=call_id, request=self.request) if self.request else None

    def finish(self, call_id: UUID, outcome: InstantOutcome, result: bytes = b"") -> bool:
        del call_id
        self.outcomes.append((outcome, result))
        return True


class FakeChildren(ChildPool):
    """Raises its errors first, one for each task."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tasks: list[Any] = []

    def run(self, task: Any, on_start: Any = None, **options: Any) -> Any:
        del on_start, options
        self.tasks.append(task)
        if self.errors:
            raise self.errors.pop(0)
        return InstantResult(outcome=ANSWER, data=b"blurred", width=2, height=1)


def answer(exchange: FakeExchange, children: FakeChildren) -> None:
    none = cast("Any", None)
    use_case = AnswerCall(
        broker=connect("redis://127.0.0.1:1"), listener=none, children=children, blobs=none, scratch=none
    )
    use_case._threads.exchange = exchange
    use_case(uuid4())


def test_a_call_is_answered() -> None:
    exchange, children = FakeExchange(), FakeChildren()
    answer(exchange, children)
    assert children.tasks == [REQUEST]
    assert exchange.outcomes == [(ANSWER, b"blurred")]


def test_nothing_is_done_for_a_caller_that_is_gone() -> None:
    exchange, children = FakeExchange(None), FakeChildren()
    answer(exchange, children)
    assert (children.tasks, exchange.outcomes) == ([], [])


def test_a_crash_is_tried_again_once() -> None:
    exchange, children = FakeExchange(), FakeChildren(ChildCrashed("exit code -9"))
    answer(exchange, children)
    assert len(children.tasks) == 2
    assert exchange.outcomes == [(ANSWER, b"blurred")]
    exchange, children = FakeExchange(), FakeChildren(ChildCrashed("1"), ChildCrashed("2"))
    answer(exchange, children)
    assert len(children.tasks) == 2
    ((outcome, data),) = exchange.outcomes
    assert isinstance(outcome, InstantRefusal)
    assert (outcome.reason, data) == (Reason.CRASHED, b"")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImageError(Reason.CORRUPT, "it is damaged"), Reason.CORRUPT),
        (Unavailable("no child process stays alive"), None),
        (RuntimeError("a bug"), Reason.INTERNAL),
    ],
)
def test_an_error_is_an_outcome(error: Exception, reason: Reason | None) -> None:
    exchange = FakeExchange()
    answer(exchange, FakeChildren(error))
    ((outcome, _),) = exchange.outcomes
    assert isinstance(outcome, InstantRefusal)
    assert outcome.reason is reason
    if reason is Reason.INTERNAL:
        assert "a bug" not in outcome.message


@pytest.mark.parametrize(
    "outcome",
    [
        ANSWER,
        InstantAnswer(width=1, height=2, inspection=Inspection(check=Check(state=CheckState.CLEAN))),
        InstantRefusal(reason=Reason.TOO_LARGE, message="too many pixels"),
        InstantRefusal(reason=None, message="no child process became idle"),
    ],
)
def test_outcomes_survive_the_broker(outcome: InstantOutcome) -> None:
    assert outcome_from_json(outcome_to_json(outcome)) == outcome
    assert isinstance(outcome_from_json(outcome_to_json(ResultTooLarge())), ResultTooLarge)


def test_requests_survive_the_broker() -> None:
    spec = BlurSpec(find=(Find(kind=FindingKind.FACE),), effort=Effort.FAST)
    for request in (REQUEST, InstantRequest(kind=InstantKind.FIND, spec=spec, max_result_bytes=0, data=b"\n\n")):
        assert InstantRequest.decode(request.encode()) == request
