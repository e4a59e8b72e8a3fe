"""`python -m tests.fuzz`: blur damaged files of every format in a child process of a worker.

Each file has to be blurred or refused with a reason. A file that kills the child, hangs it or raises another error is a
finding: it is kept, and its path printed.
"""

import argparse
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.child.process import ChildLimits
from services.blur_worker.engine.containers.png_chunks import SIGNATURE, chunk, chunks
from services.common.domain.errors import ImageError
from services.common.domain.spec import (
    OUTPUT_FORMATS,
    BlurSpec,
    Effect,
    Gaussian,
    Pixelate,
    Redact,
    Region,
    Solid,
    Stroke,
)
from tests.support.heif_files import ALPHA, auxiliary, coded, grid, heic, heif, irot
from tests.support.images import encode, encode_frames, frames, photo, photo_16, samples
from tests.unit.engine.formats.png_maker import make_png

LIMITS = ChildLimits(seconds=20, memory_mb=3072, max_pixels=2_000_000)
EFFECTS: tuple[Effect, ...] = (Gaussian(0.5), Gaussian(6), Gaussian(0.5, relative=True), Pixelate(9), Solid(), Redact())
REGIONS = (
    Region("ellipse", 0.2, 0.2, 0.5, 0.5, feather=0.1),
    Region.polygon([(0.1, 0.1), (0.9, 0.3), (0.2, 0.8)], padding=0.02),
    Region.brush([Stroke(((0.1, 0.9), (0.5, 0.4), (0.9, 0.9)), 0.1), Stroke(((1, 0),), 0.3)], feather=0.05),
)


def seeds() -> list[bytes]:
    """Valid files: every format, and the variants that take code paths of their own."""
    image = photo()
    colors_16 = samples(photo_16())[:, :, None].repeat(3, axis=2).astype("u2")
    found = [encode(image, format_.value) for format_ in OUTPUT_FORMATS]
    several = [image, *frames(3)]
    found += [encode_frames(several, format_, duration=50) for format_ in ("GIF", "WEBP", "PNG", "TIFF")]
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
    found += [make_png(colors_16, (4, 3, 1)), make_png(colors_16, (2, 4), interlaced=True)]
    found += [encode(image, "TIFF", compression=each) for each in ("tiff_lzw", "tiff_adobe_deflate", "packbits")]
    tiles = [coded(image.resize((64, 64))), coded(image.resize((64, 64)))]
    found += [heic(image), heic(photo_16()), heif([*tiles, grid(1, 2, (120, 60), [1, 2], irot(1))], primary=3)]
    found.append(heif([coded(image), auxiliary(image.convert("L"), ALPHA, of=1)]))
    return found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A file with some bytes changed, moved, doubled or cut."""
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(broken)), rng.choice((1, 1, 2, 4, 32))
        match rng.randrange(6):
            case 0:
                broken[at] ^= 1 << rng.randrange(8)
            case 1:
                broken[at : at + length] = rng.randbytes(length)
            case 2:
                broken[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
            case 3:
                del broken[at : at + length]
            case 4:
                broken[at:at] = broken[at : at + length]
            case _:
                del broken[max(at, len(broken) // 4) :]
        if not broken:
            return b"\0"
    return _with_checksums(bytes(broken)) if broken.startswith(SIGNATURE) and rng.random() < 0.8 else bytes(broken)


def _with_checksums(png: bytes) -> bytes:
    """Correct the checksums, or most damage would go no further; damage a third of the pixels after inflating them."""
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
    """Fuzz for some seconds; return 1 if there were findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng, valid, outcomes, findings = random.Random(arguments.seed), seeds(), Counter[str](), 0
    children = ChildPool(1, LIMITS)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            source.write_bytes(damaged(rng.choice(valid), rng))
            regions = (rng.choice(REGIONS),) if rng.random() < 0.3 else ()
            output = rng.choice((None, None, *OUTPUT_FORMATS))
            spec = BlurSpec(rng.choice(EFFECTS), regions, output_format=output, keep_metadata=rng.random() < 0.3)
            try:
                children.blur(source, target, spec)
                outcomes["blurred"] += 1
            except ImageError as error:
                outcomes[error.reason.value] += 1
                if error.reason.value != "TIMED_OUT":
                    continue
                findings += _keep(source, spec, error)
            except Exception as error:
                findings += _keep(source, spec, error)
    children.close()
    print(f"{sum(outcomes.values())} files: {dict(outcomes.most_common())}; {findings} findings")
    return 1 if findings else 0


def _keep(source: Path, spec: BlurSpec, error: Exception) -> int:
    kept = Path(tempfile.mkstemp(prefix="imageblur-finding-")[1])
    kept.write_bytes(source.read_bytes())
    print(f"{kept}: {error!r} with {spec}", *getattr(error, "__notes__", ()), sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
