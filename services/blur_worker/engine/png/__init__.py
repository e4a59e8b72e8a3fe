"""PNG: what Pillow reads or writes slowly, or not at all."""

from services.blur_worker.engine.png.ancillary import metadata_chunks
from services.blur_worker.engine.png.reading import decode, header_of
from services.blur_worker.engine.png.writing import encode

__all__ = ["decode", "encode", "header_of", "metadata_chunks"]
