"""The columns of an image that hold its result."""

from typing import Any, Protocol

from services.common.domain.findings import Inspection
from services.common.domain.orders import ImageState


class StoredResult(Protocol):
    """A stored result; sizes in bytes and pixels, `sha256` as hex."""

    @property
    def size(self) -> int: ...  # noqa: D102 - see above
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def crc32(self) -> int | None: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def format(self) -> str: ...  # noqa: D102
    @property
    def engine(self) -> str | None: ...  # noqa: D102
    @property
    def inspection(self) -> Inspection | None: ...  # noqa: D102


def result_columns(result: StoredResult) -> dict[str, Any]:
    """Return the columns of an image that has SUCCEEDED with this result."""
    inspection = result.inspection
    return {
        "state": ImageState.SUCCEEDED,
        "output_bytes": result.size,
        "output_sha256": result.sha256,
        "output_crc32": None if result.crc32 is None else f"{result.crc32:08x}{result.sha256[:8]}",
        "width": result.width,
        "height": result.height,
        "format": result.format,
        "engine": result.engine,
        "findings": inspection and inspection.to_json(),
        "check_state": inspection and inspection.check.state,
        "found": inspection and inspection.counts_json(),
    }
