"""What a person reads while the engine is compiled."""

import subprocess
import sys

import pytest

from services.blur_worker.engine import compile_progress
from services.blur_worker.engine.compile_progress import CompileProgress, count_loops


def test_it_says_nothing_of_loops_that_load_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with CompileProgress().of_a_loop():
        pass
    assert capsys.readouterr().err == ""


def test_it_counts_the_loops_that_take_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_progress, "_NOTICEABLE_SECONDS", -1)
    progress = CompileProgress()
    for _ in range(2):
        with progress.of_a_loop():
            pass
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("processor: ")[2] for line in lines] == [
        f"{n} of {count_loops()} loops, 0 s" for n in (1, 2)
    ]


def test_the_loops_are_counted_as_they_are_compiled() -> None:
    code = "from services.blur_worker.engine import compiling; print(compiling._progress._loops)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == count_loops()
