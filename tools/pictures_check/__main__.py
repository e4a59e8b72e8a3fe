"""Render every picture of the corpora through the engine and through another reader; fail where they differ.

The engine hides one corner; everything else has to look the same: every frame, its time, its colours and its alpha.
"""

import argparse
import collections
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.blur_worker.engine import Limits, blur
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import BlurSpec, Region, Solid
from tools.pictures_check.corpora import fetch, pictures
from tools.pictures_check.readers import Chromium, Shown, Unreadable, read_with_libvips

_LIMITS = Limits(max_pixels=40_000_000)
_SPEC = BlurSpec(Solid("#000000"), regions=(Region("box", 0, 0, 0.02, 0.02),), quality=98)
_CORNER = 0.02
_BESIDE = {"jpeg": 33, "webp": 17, "avif": 65}
"""Pixels beside the region that belong to a block with it."""
_TOLERANCE = {"jpeg": (3, 0.5), "webp": (60, 2.5), "avif": (70, 3), "gif": (40, 1.5)}
"""By the format of the result: largest and mean difference in levels; of one without loss 2 and 0.2."""
_DAMAGED = re.compile(r"crash-|broken|bad|truncated|junk|huge_|syntax_|chunk_|short|overflow|mmap_error|rletrns|offset")
"""Names of pictures that are damaged on purpose: what is left of them is shown in different ways."""
_ENCODED_ANEW = ("testimgari",)
"""Arithmetic coding: encoded as a whole, at the order's quality (docs/effects.md)."""
_NOT_OF_LIBVIPS = ("hopper_lzma", "minisblack-2c-8b-alpha", "ojpeg_")
"""What this libvips reads wrongly or not at all; libtiff's own tools agree with the engine."""


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data/pictures-check"), help="where packages are kept")
    parser.add_argument("--only", default="", help="pictures whose names contain this")
    parser.add_argument("--verbose", action="store_true", help="print what is said about every picture")
    arguments = parser.parse_args()
    start = time.monotonic()
    fetch(arguments.folder)
    outcomes: collections.Counter[str] = collections.Counter()
    with Chromium() as chromium:
        for name, kind, data in pictures(arguments.folder):
            if arguments.only not in name:
                continue
            outcome, detail = check(name, data, kind, chromium)
            outcomes[outcome] += 1
            if outcome in {"DIFFERENT", "REFUSED"} or arguments.verbose:
                print(f"{outcome}: {name}: {detail}", flush=True)
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    print(f"{sum(outcomes.values()):6} pictures in {time.monotonic() - start:.0f} s")
    raise SystemExit(outcomes["DIFFERENT"] > 0 or outcomes["REFUSED"] > 0 or not outcomes)


def check(name: str, data: bytes, kind: str, chromium: Chromium) -> tuple[str, str]:
    """Return the outcome for a picture, and what there is to say about it."""
    try:
        before = read_with_libvips(data) if kind == "tiff" else chromium.read(data, kind)
    except Unreadable as error:
        before, why = None, str(error)
    try:
        result = blur(data, _SPEC, _LIMITS)
    except ImageError as error:
        if error.reason in {Reason.UNSUPPORTED, Reason.TOO_LARGE}:
            return "unsupported", str(error)
        refused = before and not _DAMAGED.search(name)
        return ("REFUSED", str(error)) if refused else ("damaged", str(error))
    if before is None:
        return "read by the engine alone", why
    try:
        after = read_with_libvips(result.data) if kind == "tiff" else chromium.read(result.data, kind)
    except Unreadable as error:
        return "DIFFERENT", f"the result cannot be read: {error}"
    differences = list(differing(before, after, kind))
    if differences and (_DAMAGED.search(name) or any(each in name for each in _NOT_OF_LIBVIPS + _ENCODED_ANEW)):
        return "damaged, or not for this reader", differences[0]
    return ("DIFFERENT", "; ".join(differences[:3])) if differences else ("the same", "")


def differing(before: Shown, after: Shown, kind: str) -> Iterator[str]:
    """Yield what differs outside of the region."""
    if len(before.frames) != len(after.frames):
        yield f"{len(before.frames)} frames became {len(after.frames)}"
    if len(before.frames) > 1 and before.repetitions != after.repetitions:
        yield f"{before.repetitions} repetitions became {after.repetitions}"
    most, mean = _TOLERANCE.get(kind, (2, 0.2))
    frames = zip(before.frames, after.frames, before.milliseconds, after.milliseconds, strict=False)
    for index, (one, other, time_before, time_after) in enumerate(frames):
        if one.shape != other.shape:
            yield f"frame {index}: {one.shape[1::-1]} became {other.shape[1::-1]}"
            continue
        if len(before.frames) > 1 and abs(time_before - time_after) > 10:
            yield f"frame {index}: {time_before:.0f} ms became {time_after:.0f}"
        difference = np.abs(one - other)
        beside = _BESIDE.get(kind, 1)
        difference[: int(one.shape[0] * _CORNER) + beside, : int(one.shape[1] * _CORNER) + beside] = 0
        if difference.max() > most or difference.mean() > mean:
            yield f"frame {index}: off by up to {difference.max():.0f} levels, {difference.mean():.2f} on average"


if __name__ == "__main__":
    main()
