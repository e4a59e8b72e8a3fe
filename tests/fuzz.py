"""`python -m tests.fuzz`: damaged files of every format through the engine, in a worker's own child process.

Each must be blurred or refused with a reason. Whatever kills the child, hangs it or raises anything else is a finding:
its file is kept, and its place told.
"""

import argparse
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from services.blur_worker.child import ChildLimits
from services.blur_worker.children import Children
from services.blur_worker.engine.png.chunks import SIGNATURE, chunk, chunks
from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Effect, Format, Gaussian, Pixelate, Region, Solid
from tests.unit.engine.png_maker import make_png
from tests.unit.engine.samples import encode, moving, photo, photo_16, samples

LIMITS = ChildLimits(seconds=20, memory=3072, max_pixels=2_000_000)
EFFECTS: tuple[Effect, ...] = (Gaussian(0.5), Gaussian(6), Gaussian(0.5, relative=True), Pixelate(9), Solid())
REGION = Region("ellipse", 0.2, 0.2, 0.5, 0.5, feather=0.1)


def seeds() -> list[bytes]:
    """Sound files: every format, and what is special of each."""
    image, many = photo(), {"save_all": True, "append_images": moving(3), "duration": 50}
    deep = samples(photo_16())[:, :, None].repeat(3, axis=2).astype("u2")
    found = [encode(image, format_.value) for format_ in Format]
    found += [encode(image, format_.value, **many) for format_ in (Format.GIF, Format.WEBP, Format.PNG, Format.TIFF)]
    found += [
        encode(image, "JPEG", **options)
        for options in (
            {"progressive": True},
            {"progressive": True, "subsampling": 0, "restart_marker_rows": 1},
            {"subsampling": 0, "restart_marker_rows": 1},
        )
    ]
    found += [encode(image.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGBA")]
    found += [encode(photo_16(), "PNG"), encode(photo_16(), "TIFF"), encode(image.convert("CMYK"), "JPEG")]
    found += [make_png(deep, (4, 3, 1)), make_png(deep, (2, 4), interlaced=True)]
    found += [encode(image, "TIFF", compression=packed) for packed in ("tiff_lzw", "tiff_adobe_deflate", "packbits")]
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A file with some bytes changed, moved, doubled or cut."""
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(broken)), chance.choice((1, 1, 2, 4, 32))
        match chance.randrange(6):
            case 0:
                broken[at] ^= 1 << chance.randrange(8)
            case 1:
                broken[at : at + length] = chance.randbytes(length)
            case 2:
                broken[at : at + 4] = chance.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")
                )
            case 3:
                del broken[at : at + length]
            case 4:
                broken[at:at] = broken[at : at + length]
            case _:
                del broken[max(at, len(broken) // 4) :]
        if not broken:
            return b"\0"
    return _with_checksums(bytes(broken)) if broken.startswith(SIGNATURE) and chance.random() < 0.8 else bytes(broken)


def _with_checksums(png: bytes) -> bytes:
    """Or most damage would end at a checksum. Sometimes pixels are damaged after they were inflated."""
    parts = [SIGNATURE]
    for name, content in chunks(png):
        data = bytes(content)
        if name == b"IDAT" and zlib.crc32(data) % 3 == 0:
            inflater = zlib.decompressobj()
            try:
                rows = bytearray(inflater.decompress(data, 1 << 20))
            except zlib.error:
                rows = bytearray()
            rows[:: max(1, len(rows) // 7)] = bytes(value % 7 for value in rows[:: max(1, len(rows) // 7)])
            data = zlib.compress(rows)
        parts.append(chunk(name, data))
    return b"".join(parts)


def main() -> int:
    """Fuzz for some seconds; 1 if there were findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    chance, sound, outcomes, findings = random.Random(arguments.seed), seeds(), Counter[str](), 0
    children = Children(1, LIMITS)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            source.write_bytes(damaged(chance.choice(sound), chance))
            regions = (REGION,) if chance.random() < 0.3 else ()
            output = chance.choice((None, None, *Format))
            spec = BlurSpec(chance.choice(EFFECTS), regions, output_format=output, keep_metadata=chance.random() < 0.3)
            try:
                children.blur(source, target, spec)
                outcomes["blurred"] += 1
            except ImageError as error:
                outcomes[error.reason.value] += 1
                if error.reason.value != "TIMED_OUT":
                    continue
                findings += _kept(source, spec, error)
            except Exception as error:
                findings += _kept(source, spec, error)
    children.close()
    print(f"{sum(outcomes.values())} files: {dict(outcomes.most_common())}; {findings} findings")
    return 1 if findings else 0


def _kept(source: Path, spec: BlurSpec, error: Exception) -> int:
    kept = Path(tempfile.mkstemp(prefix="imageblur-finding-")[1])
    kept.write_bytes(source.read_bytes())
    print(f"{kept}: {error!r} with {spec}", *getattr(error, "__notes__", ()), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
