"""`make test-indices`: the compiled loops of JPEG with a check of every index, on damaged files.

An index beyond an array is an IndexError here, instead of whatever it would be. Compiles everything anew for it, which
takes a minute; so it is not part of the tests.
"""

import contextlib
import random
import sys

import numba

from services.blur_worker.engine import Limits
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.common.domain.errors import ImageError
from services.common.domain.spec import BlurSpec, Gaussian, Solid
from tests.support.images import encode, oriented, photo
from tests.unit.engine.jpeg.progressive_maker import make_progressive, simple
from tests.unit.engine.running import LEFT_HALF

SEEDS = [
    encode(photo(61, 43), "JPEG", subsampling="4:2:0", quality=85),
    encode(photo(61, 43), "JPEG", subsampling="4:2:2", restart_marker_blocks=2, optimize=True),
    encode(photo(400, 24), "JPEG", subsampling="4:4:4", quality=30),
    encode(photo(40, 240).convert("L"), "JPEG", quality=97),
    *(encode(photo(61, 43), "JPEG", progressive=True, restart_marker_blocks=each) for each in (0, 4)),
    encode(photo(200, 40).convert("L"), "JPEG", progressive=True, quality=97),
    *(
        encode(photo(64, 48), "JPEG", progressive=progressive, exif=exif)
        for progressive, exif in ((False, oriented(6)), (True, oriented(3)), (True, oriented(8)))
    ),
    make_progressive(encode(photo(64, 48), "JPEG"), simple(3), length=13),
]
SPECS = [BlurSpec(Gaussian(sigma)) for sigma in (0.5, 2, 5, 20, 100)]
REGION = BlurSpec(Solid(), regions=(LEFT_HALF,))


def damaged(rng: random.Random) -> bytes:
    """A file with up to a dozen bytes changed, most often in the entropy-coded data."""
    data = bytearray(rng.choice(SEEDS))
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    begin = 2 if rng.random() < 0.4 else rng.choice(scans) + 14
    for _ in range(rng.randint(0, 12)):
        data[rng.randrange(begin, len(data) - 2)] = rng.randrange(256)
    return bytes(data)


def main(count: int) -> None:
    """Try so many files on every path."""
    assert numba.config.BOUNDSCHECK, "NUMBA_BOUNDSCHECK=1 is missing"  # type: ignore[attr-defined]
    rng, blurred = random.Random(11), 0
    for _ in range(count):
        data = damaged(rng)
        with contextlib.suppress(ImageError):
            blurred += sum(blur_whole(data, spec, Limits(1_000_000)) is not None for spec in SPECS)
            blurred += blur_regions(data, REGION, Limits(1_000_000)) is not None
    print(f"{count} files, {blurred} results, no index beyond its array")


if __name__ == "__main__":
    main(int(sys.argv[1]))
