"""Compiled loops, for what Python is too slow for."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    import numba
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True
"""Whether loops are compiled; if not, callers do the same in numpy, or leave it to Pillow."""
Function = TypeVar("Function", bound=Callable[..., Any])
# All but what assumes more of numbers than that they are numbers: sums keep their order.
_FLOATS = {"contract", "nnan", "ninf", "nsz", "arcp"}


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Compiles a function over arrays when it is defined, or loads what was compiled before; what it calls comes first.

    Without a signature it becomes part of the functions that call it. There is no interpreter in it, no lock and no
    check of any index: callers see to the sizes.
    """

    def decorate(function: Function) -> Function:
        if not AVAILABLE:
            return function
        njit: Any = numba.njit
        options = {"nogil": True, "fastmath": _FLOATS, "error_model": "numpy"}
        if not signatures:
            return cast("Function", njit(**options)(function))
        try:
            return cast("Function", njit(list(signatures), cache=True, **options)(function))
        except RuntimeError:
            # There is no folder to keep it in: every process compiles for itself.
            return cast("Function", njit(list(signatures), **options)(function))

    return decorate
