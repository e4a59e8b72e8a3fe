"""What a hostile image might make a decoder do, by its first bytes; every other image goes to the real engine."""

import ctypes
import time
from pathlib import Path

from services.blur_worker.children import ChildLimits, Facts
from services.blur_worker.children import _blur_file as _really_blur
from services.common.spec import BlurSpec
from tests.faults.stages import number, reach

SEGFAULT = b"poison: segfault"
HANG = b"poison: hang"
GROW = b"poison: grow"


def blur_file(source: Path, target: Path, spec: BlurSpec, limits: ChildLimits) -> Facts:
    """In the place of the child's own function."""
    match source.read_bytes():
        case b"poison: segfault":
            ctypes.string_at(0)
        case b"poison: hang":
            time.sleep(3600)
        case b"poison: grow":
            bytearray(limits.memory << 21)
    reach("child-blurring", source)
    if pace := number("pace"):
        time.sleep(pace)
    return _really_blur(source, target, spec, limits)
