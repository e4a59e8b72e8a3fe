"""Several services in one process: they stop in order, and end together."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
MEMBER = """
from tests.integration.stack.member import serve

def main():
    serve(__name__, {behaviour!r})
"""


class Together:
    """Processes in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *behaviours: str, first_grace: float = 60) -> subprocess.Popen[str]:
        names = [f"service_{place}" for place, _ in enumerate(behaviours)]
        graces = [first_grace, *[60] * len(names)]
        for name, behaviour in zip(names, behaviours, strict=True):
            (self.folder / f"{name}.py").write_text(MEMBER.format(behaviour=behaviour), "utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "services.stack.thread_runner", *map("{}={}".format, names, graces)],
            cwd=self.folder,
            env={"PYTHONPATH": f"{ROOT}:{self.folder}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def events(self, kind: str) -> list[str]:
        path = self.folder / "events"
        return [event for event in path.read_text("utf-8").split() if event.startswith(kind)] if path.exists() else []

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Together]:
    together = Together(tmp_path)
    yield together
    together.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_they_stop_in_order(together: Together, number: int) -> None:
    process = together.start("steady", "steady", "steady")
    eventually(lambda: len(together.events("up")) == 3)
    process.send_signal(number)
    assert process.wait(60) == 0
    assert together.events("down") == ["down:service_0", "down:service_1", "down:service_2"]


@pytest.mark.parametrize(
    ("behaviour", "code", "message"),
    [
        ("misconfigured", 78, "IMAGEBLUR_NONSENSE: must be sense"),
        ("broken", 1, "ValueError: not caught"),
        ("ends", 1, ""),
        ("exits", 1, "cannot listen"),
    ],
)
def test_the_end_of_one_is_the_end_of_all(together: Together, behaviour: str, code: int, message: str) -> None:
    process = together.start("steady", behaviour)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert message in errors


def test_one_that_does_not_stop_leaves_the_others_their_time(together: Together) -> None:
    process = together.start("stubborn", "steady", first_grace=0.5)
    eventually(lambda: len(together.events("up")) == 2)
    process.terminate()
    assert process.wait(60) == 1
    assert together.events("down") == ["down:service_1"]


def test_a_second_signal_ends_it_at_once(together: Together) -> None:
    process = together.start("stubborn")
    eventually(lambda: together.events("up"))
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.terminate()
    assert process.wait(60) == 1
