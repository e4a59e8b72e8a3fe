"""Compile loops with numba, and keep their machine code: only in a process that compiles."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target

from services.blur_worker.engine.compiling.folder import code_digest
from services.blur_worker.engine.compiling.linking import ArrayKind, CompiledLoop, write_loops
from services.blur_worker.engine.compiling.progress import CompileProgress, compiled_modules

# All of LLVM's flags but those that let it change the order of a sum.
_FASTMATH = {"contract", "nnan", "ninf", "nsz", "arcp"}
_progress = CompileProgress()
_loops: list[Any] = []


def compile_loop(
    function: Callable[..., Any], signatures: Iterable[str], types: Mapping[str, object], *, inline: bool, nrt: bool
) -> Any:
    """Return numba's dispatcher of a function; the arguments are those of `compiled`."""
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
        return njit(**options, forceinline=inline)(function)
    loop = njit([_parse(signature, types) for signature in signatures], **options)(function)
    _loops.append(loop)
    _progress.add()
    return loop


def compile_all(folder: str) -> None:
    """Compile all loops of the engine, and keep them in the folder, unless their sources have changed meanwhile."""
    for name in compiled_modules():
        import_module(name)
    if code_digest() not in Path(folder).name:
        raise SystemExit("the sources of the engine have changed while they were compiled")
    write_loops(Path(folder), [each for loop in _loops for each in machine_code(loop)])


def machine_code(loop: Any) -> list[CompiledLoop]:
    """Return what numba made of a dispatcher's signatures."""
    return [
        _machine_code(f"{loop.__module__}.{loop.__qualname__}", result, signature)
        for signature, result in loop.overloads.items()
    ]


def _machine_code(name: str, result: Any, signature: tuple[Any, ...]) -> CompiledLoop:
    assert not result.environment.consts, f"{name} refers to Python objects"
    return CompiledLoop(
        name=name,
        arrays=tuple(
            _array_kind(index, type_) for index, type_ in enumerate(signature) if isinstance(type_, numba.types.Array)
        ),
        entry=result.fndesc.llvm_cpython_wrapper_name,
        environment=cpu_target.target_context.get_env_name(result.fndesc),
        code=result.library._get_compiled_object(),  # noqa: SLF001
    )


def _array_kind(index: int, type_: Any) -> ArrayKind:
    assert type_.layout == "C", "loops take contiguous arrays"
    dtype = np.dtype(numba.np.numpy_support.as_dtype(type_.dtype))
    return ArrayKind(index=index, dtype=dtype, ndim=type_.ndim, written=type_.mutable)


def _parse(signature: str, examples: Mapping[str, object]) -> Any:
    """Return numba's types of a signature, with those of examples."""
    names = {name: numba.typeof(example) for name, example in examples.items()}  # type: ignore[no-untyped-call]
    return eval(signature, vars(numba.types) | names)  # noqa: S307 - as numba itself does
