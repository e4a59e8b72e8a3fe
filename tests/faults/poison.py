"""What a hostile image might make a decoder do, by its first bytes; every other image goes to the real engine."""

import ctypes
import time
from pathlib import Path
from typing import Any

from services.blur_worker.child import process
from services.blur_worker.child.process import BlurredFile, BlurTask, ChildLimits
from tests.faults.stages import number, reach

SEGFAULT = b"poison: segfault"
HANG = b"poison: hang"
GROW = b"poison: grow"


def blur_file(task: BlurTask, limits: ChildLimits) -> BlurredFile:
    """In the place of the child's own work."""
    match task.read_original():
        case b"poison: segfault":
            ctypes.string_at(0)
        case b"poison: hang":
            time.sleep(3600)
        case b"poison: grow":
            bytearray(limits.memory_mb << 21)
    reach("child-blurring", task.name)
    if pace := number("pace"):
        time.sleep(pace)
    if task.spec.find:
        _hold_searches(task.name)
    return process.blur_file(task, limits)


def _hold_searches(original: str) -> None:
    """Have the child of this image be held when it finds, and when it checks."""
    real = getattr(process.make_detectors, "real", process.make_detectors)

    class Searches:
        """A detector: its first search of an image is to find, all later ones check."""

        def __init__(self, detector: Any) -> None:
            self._detector = detector
            self._stage = "child-finding"

        def __getattr__(self, name: str) -> Any:
            return getattr(self._detector, name)

        def detect(self, *args: Any) -> Any:
            reach(self._stage, original)
            self._stage = "child-checking"
            return self._detector.detect(*args)

    class Detectors:
        """Those of the child, to be held."""

        def __init__(self, folder: Path | None) -> None:
            self._real = real(folder)
            self._held: dict[object, Searches] = {}

        def load(self, find: Any) -> Searches:
            return self._held.setdefault(find, Searches(self._real.load(find)))

    def make(folder: Path | None) -> Any:
        return Detectors(folder)

    make.real = real  # type: ignore[attr-defined]
    process.make_detectors = make  # type: ignore[assignment]
