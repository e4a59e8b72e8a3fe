"""Remove what packages install and this project never uses: `.venv/bin/python tools/slim_environment.py`.

For the environments of `make run` and of the containers, of which it is a third. What only developers use comes back
with `make test`. Of shared libraries it cuts off the tables of symbols that only debuggers read (Linux).
"""

import shutil
import struct
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

UNUSED = (
    # What installed the rest. The record that it is installed goes first: an interruption leaves what ensurepip mends.
    "pip-*", "pip", "uv-*", "uv", "setuptools-*", "setuptools", "pkg_resources", "_distutils_hack", "distutils-*.pth",
    # Libraries' tests of their own.
    "*/tests", "numba/**/tests", "numpy/**/tests", "alembic/testing", "sqlalchemy/testing",
    # For programs in C: the Python module contains the same once more.
    "onnxruntime/capi/libonnxruntime.so.*", "numpy/_core/include",
    # Conversion of models, and a model that turns lines of text.
    "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/transformers", "rapidocr/models/*_cls_*",
    # Loops on graphics cards, or in several threads.
    "numba/cuda", "numba/np/ufunc/*pool.*.so",
    # What rich colours source code with, and a client of Valkey. They count as not installed, too.
    "pygments", "pygments-*", "valkey", "valkey-*",
)  # fmt: skip
PROGRAMS = ("uv", "uvx", "pip", "pip3*")
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")
"""What is used of scikit-image, by the demonstration."""


def main() -> None:
    """Remove it, and print how much that was."""
    if sys.prefix == sys.base_prefix:
        sys.exit("slim_environment: this is no virtual environment")
    packages = Path(sysconfig.get_path("purelib"))
    before = _size(Path(sys.prefix))
    for path in _unused(packages):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if sys.platform == "linux":
        for library in packages.rglob("*.so*"):
            if library.is_file():
                cut_symbols(library)
    print(f"removed {before - _size(Path(sys.prefix))} MB that nothing here uses, of {before}")


def cut_symbols(library: Path) -> None:
    """Cut an ELF file after its last segment: the loader reads segments only, sections are for linkers and debuggers.

    The file is replaced, not changed: the cache of an installer may have links to it.
    """
    content = library.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01" or library.is_symlink():  # ELF-64, little-endian
        return
    offset, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
    headers = range(offset, offset + size * count, size)
    segments = (
        struct.unpack_from("<Q", content, at + 8)[0] + struct.unpack_from("<Q", content, at + 32)[0] for at in headers
    )
    end = max(headers.stop, *segments)
    if end == len(content):
        return
    kept = bytearray(content[:end])
    struct.pack_into("<Q", kept, 40, 0)  # no table of sections …
    struct.pack_into("<HH", kept, 60, 0, 0)  # … and none in it
    draft = library.with_suffix(".draft")
    draft.write_bytes(kept)
    shutil.copymode(library, draft)
    draft.replace(library)


def _unused(packages: Path) -> Iterator[Path]:
    for pattern in UNUSED:
        yield from list(packages.glob(pattern))
    for pattern in PROGRAMS:
        yield from list(Path(sys.executable).parent.glob(pattern))
    photographs = packages / "skimage/data"
    kept = {photographs, *(photographs / name for name in PHOTOGRAPHS)}
    yield from [path for folder in (photographs, photographs.parent) for path in folder.glob("*") if path not in kept]
    # Without it, the package counts as not installed, and is installed as a whole where all of it is needed.
    yield from packages.glob("scikit_image-*.dist-info")


def _size(folder: Path) -> int:
    return round(sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6)


if __name__ == "__main__":
    main()
