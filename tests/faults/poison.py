"""What a hostile image might make a decoder do, by its first bytes; every other image goes to the real engine."""

import ctypes
import time

from services.blur_worker import child
from services.blur_worker.child import ChildLimits, Facts, Task
from tests.faults.stages import number, reach

SEGFAULT = b"poison: segfault"
HANG = b"poison: hang"
GROW = b"poison: grow"


def blur_file(task: Task, limits: ChildLimits) -> Facts:
    """In the place of the child's own work."""
    match task.source.read_bytes():
        case b"poison: segfault":
            ctypes.string_at(0)
        case b"poison: hang":
            time.sleep(3600)
        case b"poison: grow":
            bytearray(limits.memory << 21)
    reach("child-blurring", task.source)
    if pace := number("pace"):
        time.sleep(pace)
    return child.blur_file(task, limits)
