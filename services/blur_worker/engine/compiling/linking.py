"""Link loops that were compiled before, without numba: with LLVM's linker and numba's libraries in C.

This does what numba does when it loads code from its cache (`_load_global_helpers` and `get_executable` in numba/core),
for functions that refer to no Python objects but their arguments. tests/contract/test_compiled_loops.py watches it.
"""

import builtins
import ctypes
import hashlib
import importlib.util
import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite.binding import initfini, orcjit

from services.blur_worker.engine.compiling.folder import FILE

_DIGEST_BYTES = hashlib.sha256().digest_size


class DamagedCode(Exception):
    """A file of compiled code is not as it was written."""


@dataclass(frozen=True, kw_only=True)
class ArrayKind:
    """What the compiled code takes an argument for, without looking."""

    index: int
    """Of the argument."""
    dtype: np.dtype[Any]
    ndim: int
    written: bool

    def fits(self, array: Any) -> bool:
        """Return whether this is such an array, contiguous in C's order."""
        if type(array) is not np.ndarray or array.dtype != self.dtype or array.ndim != self.ndim:
            return False
        return array.flags.carray if self.written else array.flags.c_contiguous


@dataclass(frozen=True, kw_only=True)
class CompiledLoop:
    """A loop as machine code for one signature."""

    name: str
    """Of the function, with its module."""
    arrays: tuple[ArrayKind, ...]
    entry: str
    """The symbol of the function that Python calls."""
    environment: str
    """The symbol of a pointer, to what numba calls the function's environment."""
    code: bytes
    """An object file."""


class LinkedLoop:
    """A loop in memory."""

    def __init__(self, name: str, choices: list[tuple[tuple[ArrayKind, ...], Callable[..., Any]]]) -> None:
        self._name = name
        self._choices = choices

    def __call__(self, *arguments: Any) -> Any:
        """Run it. Raises: TypeError for arrays that none of its signatures has."""
        for arrays, run in self._choices:
            for kind in arrays:
                if not kind.fits(arguments[kind.index]):
                    break
            else:
                return run(*arguments)
        raise TypeError(f"{self._name} was not compiled for such arrays")


def write_loops(folder: Path, loops: Iterable[CompiledLoop]) -> None:
    """Keep loops in a folder, all or none."""
    content, draft = pickle.dumps(list(loops)), folder / f"{FILE}.{os.getpid()}"
    with draft.open("wb") as file:
        file.write(hashlib.sha256(content).digest() + content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)


def link_loops(folder: Path) -> Mapping[str, LinkedLoop]:
    """Return the loops of a folder that nobody else can write, by name.

    Raises:
        DamagedCode: The file is not as it was written.
    """
    stored = (folder / FILE).read_bytes()
    if hashlib.sha256(content := stored[_DIGEST_BYTES:]).digest() != stored[:_DIGEST_BYTES]:
        raise DamagedCode("the file of compiled code is damaged")
    return link(pickle.loads(content))  # noqa: S301 - this user's own


def link(loops: Iterable[CompiledLoop]) -> Mapping[str, LinkedLoop]:
    """Load loops into this process, where they stay."""
    initfini.initialize_native_target()
    initfini.initialize_native_asmprinter()
    jit = orcjit.create_lljit_compiler(use_jit_link=True)
    builder = orcjit.JITLibraryBuilder().add_current_process()
    function_maker, symbols = _load_runtime()
    for symbol, address in symbols.items():
        builder.import_symbol(symbol, address)
    for loop in loops:
        builder.add_object_img(loop.code).export_symbol(loop.entry).export_symbol(loop.environment)
    library = builder.link(jit, "loops")
    _kept.append((jit, library))
    by_name = defaultdict(list)
    for loop in loops:
        environment = function_maker.Environment({})
        ctypes.c_void_p.from_address(library[loop.environment]).value = id(environment)
        run = function_maker.make_function(builtins, loop.name, "", library[loop.entry], environment, (library,))
        by_name[loop.name].append((loop.arrays, run))
    return {name: LinkedLoop(name, choices) for name, choices in by_name.items()}


_kept: list[Any] = []


def _load_runtime() -> tuple[Any, Mapping[str, int]]:
    """Return numba's maker of functions, and the addresses of what compiled code refers to, by symbol."""
    helpers, function_maker, runtime = map(_extension, ("_helperlib", "_dynfunc", "core/runtime/_nrt_python"))
    exceptions = [each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, Exception)]
    symbols = {"_Py_NoneStruct": id(None)}
    symbols |= {f"PyExc_{each.__name__}": id(each) for each in exceptions}
    symbols |= {f"numba_{name}": address for name, address in helpers.c_helpers.items()}
    symbols |= {f"numba_{name}": address for name, address in function_maker.c_helpers.items()}
    symbols |= {name if name.startswith("_") else f"NRT_{name}": address for name, address in runtime.c_helpers.items()}
    address = ctypes.cast(_exception_loader, ctypes.c_void_p).value
    assert address
    return function_maker, symbols | {"numba_unpickle": address}


def _extension(name: str) -> ModuleType | Any:
    """Load a library of numba without numba."""
    numba = importlib.util.find_spec("numba")
    assert numba
    assert numba.submodule_search_locations
    folder = Path(numba.submodule_search_locations[0])
    (path,) = (folder / name).parent.glob(f"{Path(name).name}.*.so")
    spec = importlib.util.spec_from_file_location("numba." + name.replace("/", "."), path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_exception(address: int, size: int, _hash: int) -> Any:
    """Return what compiled code raises, such as the MemoryError of an array that it has no memory for."""
    return pickle.loads(ctypes.string_at(address, size))  # noqa: S301 - part of the code


_exception_loader = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(_load_exception)
