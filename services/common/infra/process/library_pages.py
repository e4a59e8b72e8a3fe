"""Give memory back that holds the code of libraries, most of which is used once, at the start."""

import ctypes
import re
import sys
from pathlib import Path

_MADV_DONTNEED = 4
_CODE = re.compile(r"^(\w+)-(\w+) r-xp .*/[^/\n]*\.so[^/\n]*$", re.MULTILINE)
"""In /proc/self/maps: what no relocation has changed."""


def release_code() -> None:
    """Take the code of libraries out of this process's memory; what is needed of it later is mapped again. Linux only.

    The files stay in the system's cache: to read them from a disk again would slow the start down.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for found in _CODE.finditer(Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")):
        start, end = (int(address, 16) for address in found.groups())
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
