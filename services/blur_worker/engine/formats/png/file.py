"""What a PNG file consists of. Source: PNG specification, third edition, clauses 11 and 12."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.blur_worker.engine.containers.png_chunks import ImageHeader, chunks
from services.blur_worker.engine.limits import Limits, check_count
from services.blur_worker.engine.metadata_source import MetadataSource
from services.blur_worker.engine.raster import Box

_METERS_PER_INCH, _METER = 0.0254, 1
_MAX_PROFILE_BYTES, _MAX_TEXT_BYTES = 16 << 20, 1 << 20
_XMP = "XML:com.adobe.xmp"
_NO_NUMBER = 1 << 31
"""From here on, what a file has is no number of PNG."""


@dataclass(kw_only=True)
class PngFrame:
    """A frame of an animation, or the only image."""

    box: Box
    """What it covers of the canvas."""
    milliseconds: float = 0
    disposal: int = 0
    """0: it stays, 1: it becomes transparent, 2: what was there before comes back."""
    over: bool = False
    """Whether it is blended over what is there, instead of replacing it."""
    parts: list[memoryview] = field(default_factory=list)
    """Parts of the zlib stream, in the order of the file."""


@dataclass(kw_only=True)
class PngFile:
    """A file, its pixels still compressed."""

    header: ImageHeader
    palette: bytes = b""
    transparent: bytes | None = None
    """The content of tRNS."""
    frames: list[PngFrame]
    described: MetadataSource


def parse(png: bytes, limits: Limits, *, keep_metadata: bool) -> PngFile:
    """Read all chunks.

    Raises:
        ImageError: TOO_LARGE.
        ValueError: The file is damaged.
        struct.error: The file is damaged.
    """
    found = chunks(png)
    name, content = next(found, (b"", memoryview(b"")))
    if name != b"IHDR":
        raise ValueError("no header")
    header = ImageHeader.parse(bytes(content))
    file = PngFile(header=header, frames=[], described=MetadataSource(format="PNG"))
    animation = _Animation(file)
    for count, (name, content) in enumerate(found, 2):
        check_count(count, limits.max_segments, "chunks")
        if animation.take(name, content):
            check_count(len(file.frames), limits.max_frames, "frames")
        elif name == b"PLTE":
            file.palette = bytes(content)
        elif name == b"tRNS":
            file.transparent = bytes(content)
        else:
            _describe(file.described, name, content, keep_metadata=keep_metadata)
    animation.end()
    return file


class _Animation:
    """Gathers the compressed pixels of the frames, or of the only image."""

    def __init__(self, file: PngFile) -> None:
        self._file = file
        self._still = PngFrame(box=(0, 0, file.header.width, file.header.height))
        self._announced = 0

    def take(self, name: bytes, content: memoryview) -> bool:
        """Take a chunk if it is about frames or pixels."""
        frames = self._file.frames
        if name == b"IDAT":
            # The image that comes first is the first frame only if it is announced as one.
            (frames[0] if len(frames) == 1 and not self._still.parts else self._still).parts.append(content)
        elif name == b"acTL" and not self._still.parts:
            announced = int.from_bytes(content[:4], "big")
            self._announced = announced if announced < _NO_NUMBER else 0
            self._file.described.info["loop"] = int.from_bytes(content[4:8], "big")
        elif name == b"fcTL":
            frames.append(_frame(bytes(content), self._file.header))
        elif name == b"fdAT" and frames:
            frames[-1].parts.append(content[4:])
        else:
            return False
        return True

    def end(self) -> None:
        """Leave the still image alone if there is no animation. Raises: ValueError, if there are no pixels."""
        frames = self._file.frames
        if not self._announced and frames and not self._still.parts:
            self._still.parts = frames[0].parts
        if not self._announced or not any(frame.parts for frame in frames):
            frames[:] = [self._still]
        del frames[max(self._announced, 1) :]
        if not self._file.frames[0].parts:
            raise ValueError("no pixels")


def _frame(content: bytes, header: ImageHeader) -> PngFrame:
    _, width, height, left, top, numerator, denominator, disposal, blend = struct.unpack(">IIIIIHHBB", content)
    if not (0 < width <= header.width - left and 0 < height <= header.height - top and disposal < 3 and blend < 2):
        raise ValueError("a frame beyond the image")
    return PngFrame(
        box=(left, top, left + width, top + height),
        milliseconds=1000 * numerator / (denominator or 100),
        disposal=disposal,
        over=blend == 1,
    )


def _describe(described: MetadataSource, name: bytes, content: memoryview, *, keep_metadata: bool) -> None:
    info = described.info
    if name == b"iCCP" and "icc_profile" not in info:
        _, _, rest = bytes(content).partition(b"\0")
        if profile := _inflated(rest[1:], _MAX_PROFILE_BYTES):
            info["icc_profile"] = profile
    elif name == b"pHYs" and len(content) == 9 and content[8] == _METER:
        info["dpi"] = tuple(value * _METERS_PER_INCH for value in struct.unpack_from(">II", content))
    elif name == b"eXIf":
        info.setdefault("exif", bytes(content))
    elif keep_metadata and name in {b"tEXt", b"zTXt", b"iTXt"}:
        described.text = dict(described.text) | dict(_text(name, bytes(content)))
        if xmp := described.text.get(_XMP):
            info["xmp"] = xmp.encode()


def _text(name: bytes, content: bytes) -> Iterator[tuple[str, str]]:
    keyword, _, rest = content.partition(b"\0")
    encoding = "latin-1"
    if name == b"iTXt":
        encoding, compressed = "utf-8", rest[:1] == b"\1"
        _, _, rest = rest[2:].partition(b"\0")
        _, _, rest = rest.partition(b"\0")
    else:
        compressed = name == b"zTXt"
        rest = rest[1:] if compressed else rest
    text = _inflated(rest, _MAX_TEXT_BYTES) if compressed else rest[:_MAX_TEXT_BYTES]
    if keyword and text is not None:
        yield keyword.decode("latin-1"), text.decode(encoding, "replace")


def _inflated(data: bytes, max_bytes: int) -> bytes | None:
    """Return what is compressed; None if it is damaged or longer than that."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, max_bytes)
    except zlib.error:
        return None
    return inflated if stream.eof else None
