"""Compile loops over arrays with numba."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numba

from services.blur_worker.engine.compile_cache import cache_folder, compile_lock
from services.blur_worker.engine.compile_progress import CompileProgress, compile_elsewhere

Function = TypeVar("Function", bound=Callable[..., Any])
# All of LLVM's flags but those that let it change the order of a sum.
_FASTMATH = {"contract", "nnan", "ninf", "nsz", "arcp"}
# The folder depends on all sources: numba itself notices a changed function, not its changed constants or callees.
# Code with checks of indices (`make test-indices`) is never kept.
_progress = CompileProgress()
_folder = None if numba.config.BOUNDSCHECK else cache_folder(numba.__version__)  # type: ignore[attr-defined]
numba.config.CACHE_DIR = str(_folder or "")  # type: ignore[attr-defined]
if _folder:
    compile_elsewhere(_folder)


def compiled(
    *signatures: str, types: Mapping[str, object] | None = None, inline: bool = False, nrt: bool = True
) -> Callable[[Function], Function]:
    """Compile a function over arrays when it is defined, or load the code that was compiled before.

    Compiled code holds no GIL and checks no index: callers pass arrays of the right sizes.

    Args:
        signatures: Of the function, in numba's notation. Without one, the function is compiled into those that call it.
        inline: Inline it into those that call it (LLVM), which saves passing many arguments.
        types: Examples of values whose types signatures name: records and named tuples have no name in numba.
        nrt: Compile with numba's runtime (reference counts). Without it, a function can neither create arrays nor slice
            them. Loops that do little for each block run up to twice as fast.
    """

    def decorate(function: Function) -> Function:
        njit: Any = numba.njit
        # Wrappers, which take an eighth of the time to compile, are for callers in Python and in C.
        options: dict[str, Any] = {
            "nogil": True,
            "fastmath": _FASTMATH,
            "error_model": "numpy",
            "no_cpython_wrapper": not signatures,
            "no_cfunc_wrapper": True,
        }
        if not nrt:
            options["_nrt"] = False
        if not signatures:
            return cast("Function", njit(**options, forceinline=inline)(function))
        # Without a folder every process compiles for itself.
        with compile_lock(_folder):
            parsed = [_parse(signature, types or {}) for signature in signatures]
            loop = njit(parsed, cache=_folder is not None, **options)(function)
            _progress.add(anew=not _folder or bool(loop.stats.cache_misses))
            return cast("Function", loop)

    return decorate


def _parse(signature: str, examples: Mapping[str, object]) -> Any:
    """Return numba's types of a signature, with those of examples."""
    names = {name: numba.typeof(example) for name, example in examples.items()}  # type: ignore[no-untyped-call]
    return eval(signature, vars(numba.types) | names)  # noqa: S307 - as numba itself does
