"""Measure the memory that an image takes on top of an idle process that has the engine loaded."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

MIB = 1 << 20


def above_idle(data: bytes, sigma: float) -> float:
    """Blur a file in a new process; return its peak of resident memory above idle, in MiB."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        command = [sys.executable, "-m", "benchmarks.engine_memory", file.name, str(sigma)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    result: float = json.loads(answer.stdout)
    return result


def _peak() -> int:
    """Return the peak of resident memory since `_reset_peak`, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """Measure, in the new process; only on Linux."""
    from services.blur_worker.engine import Limits, blur, kept_memory  # noqa: PLC0415 - loaded by the measured process alone
    from services.common.domain.spec import BlurSpec, Gaussian  # noqa: PLC0415

    kept_memory.keep()
    data = Path(sys.argv[1])
    idle = psutil.Process().memory_info().rss
    _reset_peak()
    blur(data.read_bytes(), BlurSpec(Gaussian(float(sys.argv[2]))), Limits(max_pixels=200_000_000))
    print(json.dumps((_peak() - idle) / MIB))


if __name__ == "__main__":
    main()
