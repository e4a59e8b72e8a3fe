"""What a person reads while the engine is compiled."""

import json

import pytest

from services.blur_worker.engine.compiling.progress import CompileProgress, count_loops


def test_it_counts_the_loops(capsys: pytest.CaptureFixture[str]) -> None:
    progress = CompileProgress()
    for _ in range(2):
        progress.add()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("processor: ")[2] for line in lines] == [
        f"{n} of {count_loops()} loops, 0 s" for n in (1, 2)
    ]


def test_it_fits_into_a_log_of_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_LOG_FORMAT", "json")
    CompileProgress().add()
    assert json.loads(capsys.readouterr().err)["event"].startswith("compiling the engine")
