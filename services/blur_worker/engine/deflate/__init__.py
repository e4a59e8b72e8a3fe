"""Deflate, by what packs a blurred picture best."""

from services.blur_worker.engine.deflate.stream import Stream, stream_for

__all__ = ["Stream", "stream_for"]
