"""Compiles the loops that Python is too slow for; without numba they are not compiled, and nobody should call them."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

try:
    import numba
except ImportError:
    numba = None
else:
    from services.blur_worker.engine.jpeg.machine_code import folder

    # Numba looks whether the file of a function has changed, but not whether one has that it uses.
    numba.config.CACHE_DIR = str(folder(numba.__version__) or "")

P = ParamSpec("P")
R = TypeVar("R")

AVAILABLE = numba is not None
"""Whether what is decorated is machine code."""


def compiled(
    signature: str | None = None, *, fast_math: bool = False, inline: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compiles a function when it is defined, or takes what was compiled before from a folder.

    Without a signature it becomes part of the compiled functions that call it; with `inline` of their text, which
    saves the passing of arguments. Nothing checks an index in compiled code: each module says what keeps its indices
    in range.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if numba is None:
            return function
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fast_math}
        if inline:
            options["inline"] = "always"
        if signature is None:
            return _typed(numba.njit(**options)(function))
        return _typed(numba.njit(signature, cache=bool(numba.config.CACHE_DIR), **options)(function))

    return decorate


def _typed(function: Any) -> Any:
    return function
