"""Compile loops over arrays with numba, or link the code that was compiled before, which needs no numba.

Numba takes half a second and 50 MiB to be loaded. So it is, once, in a process that ends (`compiler`), which leaves
machine code in a file; all others link that (`linking`).
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from services.blur_worker.engine.compiling.elsewhere import loops_compiled_elsewhere
from services.blur_worker.engine.compiling.linking import LinkedLoop

Function = TypeVar("Function", bound=Callable[..., Any])
# Code with checks of indices (`make test-indices`) is never kept.
_linked: Mapping[str, LinkedLoop] | None = (
    None if os.environ.get("NUMBA_BOUNDSCHECK", "0") != "0" else loops_compiled_elsewhere()
)
"""All loops with signatures; None in a process that compiles."""


def compiled(
    *signatures: str, types: Mapping[str, object] | None = None, inline: bool = False, nrt: bool = True
) -> Callable[[Function], Function]:
    """Compile a function over arrays when it is defined, or return the code that was compiled before.

    Compiled code holds no GIL and checks no index: callers pass arrays of the right sizes.

    Args:
        signatures: Of the function, in numba's notation. Without one, the function is compiled into those that call it.
        inline: Inline it into those that call it (LLVM), which saves passing many arguments.
        types: Examples of values whose types signatures name: records and named tuples have no name in numba.
        nrt: Compile with numba's runtime (reference counts). Without it, a function can neither create arrays nor slice
            them. Loops that do little for each block run up to twice as fast.
    """

    def decorate(function: Function) -> Function:
        if _linked is not None:
            name = f"{function.__module__}.{function.__qualname__}"
            return cast("Function", _linked[name]) if signatures else function
        from services.blur_worker.engine.compiling import compiler  # noqa: PLC0415 - loads numba

        loop = compiler.compile_loop(function, signatures, types or {}, inline=inline, nrt=nrt)
        return cast("Function", loop)

    return decorate


def intrinsic(function: Callable[..., Any]) -> Any:
    """Decorate a function that generates LLVM's instructions, for loops to call (`numba.extending.intrinsic`)."""
    if _linked is not None:
        return function
    from numba.extending import intrinsic as generated  # noqa: PLC0415

    return generated(function)
