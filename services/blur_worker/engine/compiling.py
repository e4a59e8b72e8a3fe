"""Compiled loops, for what Python is too slow for."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    import numba
except ImportError:
    AVAILABLE = False
else:
    from services.blur_worker.engine.machine_code import alone, folder

    AVAILABLE = True
    # Numba sees that the file of a function has changed, but not that one has whose constants or functions it uses.
    # Code with checks of indices (`make test-indices`) is not to be mixed up with the other.
    _kept = None if numba.config.BOUNDSCHECK else folder(numba.__version__)  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(_kept or "")  # type: ignore[attr-defined]
"""Whether loops are compiled; if not, callers do the same in numpy, or leave it to Pillow."""
Function = TypeVar("Function", bound=Callable[..., Any])
# All but what assumes more of numbers than that they are numbers: sums keep their order.
_FLOATS = {"contract", "nnan", "ninf", "nsz", "arcp"}


def compiled(*signatures: str, inline: bool = False, uncounted: bool = False) -> Callable[[Function], Function]:
    """Compiles a function over arrays when it is defined, or loads what was compiled before; what it calls comes first.

    Without a signature it becomes part of the functions that call it; with `inline` of their very text, which saves the
    passing of many arguments. There is no interpreter in it, no lock and no check of any index: callers see to the
    sizes.

    With `uncounted` it may make no arrays and take no parts of any, only numbers out of those it is given. Loops that
    do a little for each block are up to twice as fast then: otherwise who uses an array is counted, atomically, each
    time.
    """

    def decorate(function: Function) -> Function:
        if not AVAILABLE:
            return function
        njit: Any = numba.njit
        options: dict[str, Any] = {"nogil": True, "fastmath": _FLOATS, "error_model": "numpy"}
        if uncounted:
            options["_nrt"] = False
        if not signatures:
            return cast("Function", njit(**options, inline="always" if inline else "never")(function))
        # Without a folder every process compiles for itself.
        with alone(_kept):
            return cast("Function", njit(list(signatures), cache=_kept is not None, **options)(function))

    return decorate
