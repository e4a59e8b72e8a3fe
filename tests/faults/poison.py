"""What a hostile image might make a decoder do, by its first bytes; every other image goes to the real engine."""

import ctypes
import time

from services.blur_worker import child_process
from services.blur_worker.child_process import BlurredFile, BlurTask, ChildLimits
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
    return child_process.blur_file(task, limits)
