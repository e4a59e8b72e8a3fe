"""What a person reads while the engine is compiled."""

import json
from types import SimpleNamespace

import pytest

from services.blur_worker.engine.compiling import progress
from services.blur_worker.engine.compiling.progress import CompileProgress, count_loops


def test_it_counts_the_loops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 101.0, 103.5001])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(times)))
    shown = CompileProgress()
    for _ in range(2):
        shown.add()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("processor: ")[2] for line in lines] == [
        f"1 of {count_loops()} loops, 1 s",
        f"2 of {count_loops()} loops, 4 s",
    ]


def test_it_fits_into_a_log_of_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_LOG_FORMAT", "json")
    CompileProgress().add()
    assert json.loads(capsys.readouterr().err)["event"].startswith("compiling the engine")
