"""`make test-indices`: the compiled loops with a check of every index: JPEG on damaged files, PNG on awkward bytes.

An index beyond an array is an IndexError here, instead of whatever it would be. Compiles everything anew for it, which
takes a minute; so it is not part of the tests.
"""

import contextlib
import random
import sys

import numba
import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine import Limits
from services.blur_worker.engine.jpeg.splice import blur_regions
from services.blur_worker.engine.jpeg.whole import blur_whole
from services.common.errors import ImageError
from services.common.spec import BlurSpec, Gaussian, Solid
from tests.unit.engine.samples import LEFT_HALF, encode, photo
from tests.unit.engine.test_deflate import PART, packed, unpacked

SEEDS = [
    encode(photo(61, 43), "JPEG", subsampling="4:2:0", quality=85),
    encode(photo(61, 43), "JPEG", subsampling="4:2:2", restart_marker_blocks=2, optimize=True),
    encode(photo(400, 24), "JPEG", subsampling="4:4:4", quality=30),
    encode(photo(40, 240).convert("L"), "JPEG", quality=97),
]
SPECS = [BlurSpec(Gaussian(sigma)) for sigma in (0.5, 2, 5, 20, 100)]
REGION = BlurSpec(Solid(), regions=(LEFT_HALF,))


def damaged(rng: random.Random) -> bytes:
    """A file with up to a dozen bytes changed, most often in the entropy-coded data."""
    data = bytearray(rng.choice(SEEDS))
    begin = 2 if rng.random() < 0.4 else data.index(b"\xff\xda") + 14
    for _ in range(rng.randint(0, 12)):
        data[rng.randrange(begin, len(data) - 2)] = rng.randrange(256)
    return bytes(data)


def awkward(rng: random.Random) -> NDArray[np.uint8]:
    """Runs, repetitions and noise, in any order."""
    pieces = [rng.randbytes(rng.randint(1, 600)) * rng.choice([1, 1, 2, 300]) for _ in range(rng.randint(1, 9))]
    pieces += [bytes([rng.randrange(256)]) * rng.randint(1, 3000) for _ in range(9)]
    return np.array(bytearray(b"".join(rng.choices(pieces, k=20))), np.uint8)


def main(count: int) -> None:
    """Try so many files on every path."""
    assert numba.config.BOUNDSCHECK, "NUMBA_BOUNDSCHECK=1 is missing"  # type: ignore[attr-defined]
    rng, blurred = random.Random(11), 0
    for _ in range(count):
        data = damaged(rng)
        with contextlib.suppress(ImageError):
            blurred += sum(blur_whole(data, spec, Limits(1_000_000)) is not None for spec in SPECS)
            blurred += blur_regions(data, REGION, Limits(1_000_000)) is not None
    for _ in range(count // 10):
        pieces = awkward(rng)
        assert unpacked(packed(pieces, rng.choice([1, 100, 5000, PART]))) == pieces.tobytes()
    print(f"{count} files, {blurred} results, no index beyond its array")


if __name__ == "__main__":
    main(int(sys.argv[1]))
