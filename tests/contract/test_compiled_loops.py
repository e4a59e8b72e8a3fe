"""What the engine uses of numba's internals: code that numba compiled is linked without it."""

import errno
import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.blur_worker.engine.compiling import compiler, elsewhere
from services.blur_worker.engine.compiling.folder import compiled_folder
from services.blur_worker.engine.compiling.linking import CompiledLoop, link, link_loops, write_loops
from services.blur_worker.engine.compiling.progress import count_loops


def _add_up(numbers: NDArray[Any], out: NDArray[np.int64], more: int) -> int:
    """Write the sum to a new array first, which needs numba's runtime, then to the other."""
    room = np.zeros(more, np.int64)
    for number in numbers:
        room[0] += number
    out[0] = room[0]
    return len(room)


Loop = Callable[[NDArray[Any], NDArray[np.int64], int], int]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """The function, for two types of numbers, written to a file and linked."""
    signatures = [f"int64(Array({each}, 1, 'C', readonly=True), int64[::1], int64)" for each in ("uint8", "float32")]
    compiled = compiler.compile_loop(_add_up, signatures, {}, inline=False, nrt=True)
    folder = tmp_path_factory.mktemp("compiled")
    write_loops(folder, compiler.machine_code(compiled))
    return link_loops(folder)[f"{__name__}._add_up"]


@pytest.mark.parametrize("numbers", [np.array([200, 100], np.uint8), np.array([1.5, 298.5], np.float32)])
def test_a_loop_is_run_for_the_type_of_its_numbers(loop: Loop, numbers: NDArray[Any]) -> None:
    out = np.zeros(1, np.int64)
    numbers.flags.writeable = False
    assert loop(numbers, out, 5) == 5
    assert out.tolist() == [300] if numbers.dtype == np.uint8 else out.tolist() == [299]


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(4, np.int32), np.zeros(1, np.int64)),
        (np.zeros((2, 2), np.uint8), np.zeros(1, np.int64)),
        (np.zeros(8, np.uint8)[::2], np.zeros(1, np.int64)),
        (np.zeros(4, np.uint8), np.broadcast_to(np.int64(1), 1)),
        ([1, 2], np.zeros(1, np.int64)),
    ],
    ids=["type", "dimensions", "steps", "read-only", "list"],
)
def test_arrays_that_the_code_would_misread_are_refused(loop: Loop, arguments: tuple[Any, Any]) -> None:
    with pytest.raises(TypeError, match="not compiled for such arrays"):
        loop(*arguments, 1)


def test_errors_of_compiled_code_are_raised(loop: Loop) -> None:
    numbers, out = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    with pytest.raises(MemoryError, match="Allocation failed"):
        loop(numbers, out, 1 << 45)  # more than there are addresses
    with pytest.raises(TypeError):
        loop(numbers, out, None)  # type: ignore[arg-type]


def test_code_that_refers_to_python_objects_is_not_kept() -> None:
    def make_array() -> NDArray[np.float64]:  # of a type, which is an object
        return np.zeros(1)

    compiled = compiler.compile_loop(make_array, ["()"], {}, inline=False, nrt=True)
    with pytest.raises(AssertionError, match="refers to Python objects"):
        compiler.machine_code(compiled)


def test_the_engine_is_loaded_without_the_compiler() -> None:
    code = "import sys, services.blur_worker.warm_engine; print('numba' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"


def test_all_loops_are_compiled_once_in_a_process_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiled_folder()
    assert folder
    assert elsewhere.compile_elsewhere(folder)
    assert len(link_loops(folder)) == count_loops()
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert elsewhere.compile_elsewhere(folder)


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere"])
def test_what_cannot_be_compiled_elsewhere_is_compiled_here(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "compiled_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "executable", python)
    assert elsewhere.loops_compiled_elsewhere() is None


def test_what_cannot_be_linked_is_compiled_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(elsewhere, "compiled_folder", lambda: tmp_path)
    no_code = CompiledLoop(name="loop", arrays=(), entry="run", environment="env", code=b"no object file")
    write_loops(tmp_path, [no_code])
    assert elsewhere.loops_compiled_elsewhere() is None
    assert "compiled code cannot be linked" in capsys.readouterr().err


def test_a_damaged_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiled_folder()
    assert folder
    monkeypatch.setattr(elsewhere, "compiled_folder", lambda: tmp_path)
    whole = (folder / "loops").read_bytes()
    python = tmp_path / "python"  # instead of a minute of compiling
    python.write_text(f"#!/bin/sh\ncp '{folder}/loops' '{tmp_path}'\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    for damaged in (b"", whole[:-1], whole[:1000] + b"?" + whole[1001:]):
        (tmp_path / "loops").write_bytes(damaged)
        found = elsewhere.loops_compiled_elsewhere()
        assert found
        assert len(found) == count_loops()


def test_a_file_system_without_locks_does_not_keep_the_engine_from_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(elsewhere, "compiled_folder", lambda: tmp_path)
    monkeypatch.setattr(fcntl, "flock", fail)
    assert elsewhere.loops_compiled_elsewhere() is None


def test_nothing_to_link() -> None:
    assert link([]) == {}
