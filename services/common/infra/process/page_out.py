"""Give memory back that holds the code of libraries, most of which is used once, at the start."""

import ctypes
import sys
from pathlib import Path

_MADV_PAGEOUT = 21


def page_out_libraries() -> None:
    """Take the libraries of this process out of its memory; what is needed of them later is read again. Linux only."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, permissions, *_, path = line.split()
        if permissions.startswith("r") and ".so" in Path(path).name:
            start, end = (int(address, 16) for address in addresses.split("-"))
            # Without effect on kernels before 5.4, which is no harm.
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_PAGEOUT)
