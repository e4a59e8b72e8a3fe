"""A system clock that can be set, for processes that are started with its environment (Linux).

Not libfaketime 0.9: with the clock that only measures left alone, its `clock_nanosleep` fails with EINVAL after a jump.
"""

import shutil
import subprocess
import sys
from pathlib import Path


class NoSystemClock(Exception):
    """The clock cannot be set here; the text says why."""


class SystemClock:
    """What time it is for some processes. Their clocks that only measure (CLOCK_MONOTONIC) go on as they are."""

    def __init__(self, folder: Path) -> None:
        """Compile the library in a folder that exists. Raises: NoSystemClock."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if sys.platform != "linux" or not compiler:
            raise NoSystemClock("needs Linux and a C compiler: apt-get install gcc libc6-dev")
        library, source = folder / "system_clock.so", Path(__file__).with_suffix(".c")
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "SYSTEM_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Set the clock so many seconds ahead of what it is; negative: behind."""
        with self._file.open("r+b") as file:  # not a new file: the processes have mapped this one
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def read(self) -> float:
        """Return the time of such a process, in seconds since 1970."""
        date = subprocess.run(["date", "+%s"], env=self.environment, check=True, capture_output=True, timeout=60)
        return float(date.stdout)
