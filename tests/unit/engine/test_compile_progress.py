"""What a person reads while the engine is compiled."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.blur_worker.engine.compile_progress import CompileProgress, compile_elsewhere, count_loops


def test_it_says_nothing_of_loops_that_were_compiled_before(capsys: pytest.CaptureFixture[str]) -> None:
    CompileProgress().add(anew=False)
    assert capsys.readouterr().err == ""


def test_it_counts_the_loops(capsys: pytest.CaptureFixture[str]) -> None:
    progress = CompileProgress()
    for anew in (True, False, True):
        progress.add(anew=anew)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("processor: ")[2] for line in lines] == [
        f"{n} of {count_loops()} loops, 0 s" for n in (1, 3)
    ]


def test_it_fits_into_a_log_of_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBLUR_LOG_FORMAT", "json")
    CompileProgress().add(anew=True)
    assert json.loads(capsys.readouterr().err)["event"].startswith("compiling the engine")


def test_the_loops_are_counted_as_they_are_compiled() -> None:
    code = (
        "import services.blur_worker.warm_engine; from services.blur_worker.engine import compiling; "
        "print(compiling._progress.loops)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == count_loops()


def test_all_is_compiled_once_in_a_process_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_elsewhere(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["complete"]
    monkeypatch.setattr(sys, "executable", "/nowhere")
    compile_elsewhere(tmp_path)


def test_what_cannot_be_compiled_elsewhere_counts_as_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    compile_elsewhere(tmp_path)
    assert list(tmp_path.iterdir()) == []
