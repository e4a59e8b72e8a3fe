"""Render every picture of the corpora through the engine and through another reader; fail where they differ.

The engine hides one corner; everything else has to look the same: every frame, its time, its colours and its alpha.
"""

import argparse
import collections
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.blur_worker.engine import Limits, blur
from services.common.domain.errors import ImageError, Reason
from services.common.domain.spec import BlurSpec, Format, Region, Solid
from tools.pictures_check.corpora import fetch, pictures
from tools.pictures_check.damage import says_damaged
from tools.pictures_check.readers import Readers, Shown, Unreadable

_LIMITS = Limits(max_pixels=3_000_000)
"""Larger ones, of which a browser's pixels take seconds, show nothing more."""
_SPEC = BlurSpec(Solid("#000000"), regions=(Region("box", 0, 0, 0.02, 0.02),), quality=98)
_CORNER = 0.02
_BESIDE = {"jpeg": 33, "webp": 17, "avif": 65, "heif": 17}
"""Pixels beside the region that belong to a block with it."""
_TOLERANCE = {"jpeg": (3, 0.5), "webp": (60, 2.5), "avif": (80, 3), "heif": (60, 2.5)}
"""By the format: largest and mean difference in levels; of one without loss 2 and 0.2. Saturated details of a pixel are
76 off in any AVIF with colours at half resolution, even of quality 100 (example.avif of libheif)."""
_ENCODED_ANEW = (40, 1.5)
"""Of a JPEG that had to be decoded to pixels (docs/effects.md)."""
_MANY_COLORS, _QUANTIZED = 256, (60, 4)
"""From how many colours in a frame a GIF cannot hold all, and what then may differ."""


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data/pictures-check"), help="where packages are kept")
    parser.add_argument("--only", default="", help="pictures whose names contain this")
    parser.add_argument("--no-fetch", action="store_true", help="with the packages that are there")
    parser.add_argument("--verbose", action="store_true", help="print the finding about every picture")
    arguments = parser.parse_args()
    start = time.monotonic()
    if not arguments.no_fetch:
        fetch(arguments.folder)
    outcomes: collections.Counter[str] = collections.Counter()
    with Readers() as readers:
        for name, kind, data in pictures(arguments.folder):
            if arguments.only not in name:
                continue
            outcome, detail = check(data, kind, readers)
            outcomes[outcome] += 1
            if outcome in {"DIFFERENT", "REFUSED"} or arguments.verbose:
                print(f"{outcome}: {name}: {detail}", flush=True)
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    print(f"{sum(outcomes.values()):6} pictures in {time.monotonic() - start:.0f} s")
    raise SystemExit(outcomes["DIFFERENT"] > 0 or outcomes["REFUSED"] > 0 or not outcomes)


def check(data: bytes, kind: str, readers: Readers) -> tuple[str, str]:
    """Return the outcome for a picture, and the remark on it. Each excuse is checked."""
    try:
        result = blur(data, _SPEC, _LIMITS)
    except ImageError as error:
        return _refused(error, data, kind, readers)
    before, reader, why = readers.read_first(data, kind)
    if before is None:
        return "read by the engine alone", why
    written = "jpeg" if result.format is Format.JPEG else kind
    try:
        after = readers.read(reader, result.data, written)
    except Unreadable as error:
        return "DIFFERENT", f"the result cannot be read: {error}"
    tolerance = _TOLERANCE.get(kind, (2, 0.2))
    if kind == "jpeg" and result.path == "pixels":
        tolerance = _ENCODED_ANEW
    differences = list(differing(before, after, kind, tolerance))
    if not differences:
        return f"the same in {reader}", ""
    if damage := says_damaged(data, kind) or _shown_in_part(before, kind):
        return "damaged, as other readers report", f"{damage}; {differences[0]}"
    for other in readers.others(kind, reader):
        # The reader is wrong about the original if another one shows it as the result is.
        shown = [readers.read_if_it_can(other, each, type_) for each, type_ in ((data, kind), (result.data, written))]
        if shown[0] and any(
            each and not list(differing(shown[0], each, kind, tolerance)) for each in (shown[1], after)
        ):
            return f"the same in {other}, not in {reader}", differences[0]
    return "DIFFERENT", "; ".join(differences[:3])


def _refused(error: ImageError, data: bytes, kind: str, readers: Readers) -> tuple[str, str]:
    if error.reason in {Reason.UNSUPPORTED, Reason.TOO_LARGE}:
        return "unsupported or too large, by name", str(error)
    shown, _, _ = readers.read_first(data, kind)
    if shown is None:
        return "refused by all", str(error)
    if damage := says_damaged(data, kind) or _shown_in_part(shown, kind):
        return "damaged, as other readers report", f"{damage}; {error}"
    return "REFUSED", str(error)


def _shown_in_part(shown: Shown, kind: str) -> str:
    """Return that a browser has not come to the end of a picture: what it did not decode is transparent."""
    partly = kind in {"bmp", "jpeg"} and shown.frames[0][..., 3].min() == 0
    return "Chromium shows only a part of it" if partly else ""


def differing(before: Shown, after: Shown, kind: str, tolerance: tuple[float, float]) -> Iterator[str]:
    """Yield what differs outside of the region by more than so many levels, at most and on average."""
    if len(before.frames) != len(after.frames):
        yield f"{len(before.frames)} frames became {len(after.frames)}"
    if len(before.frames) > 1 and before.repetitions != after.repetitions:
        yield f"{before.repetitions} repetitions became {after.repetitions}"
    frames = zip(before.frames, after.frames, before.milliseconds, after.milliseconds, strict=False)
    for index, (one, other, time_before, time_after) in enumerate(frames):
        if one.shape != other.shape:
            yield f"frame {index}: {one.shape[1::-1]} became {other.shape[1::-1]}"
            continue
        if len(before.frames) > 1 and abs(time_before - time_after) > 10:
            yield f"frame {index}: {time_before:.0f} ms became {time_after:.0f}"
        most, mean = _QUANTIZED if kind == "gif" and _colors(one) >= _MANY_COLORS else tolerance
        difference = np.abs(one - other)
        beside = _BESIDE.get(kind, 1)
        difference[: int(one.shape[0] * _CORNER) + beside, : int(one.shape[1] * _CORNER) + beside] = 0
        if difference.max() > most or difference.mean() > mean:
            yield f"frame {index}: off by up to {difference.max():.0f} levels, {difference.mean():.2f} on average"


def _colors(frame: NDArray[np.float32]) -> int:
    return len(np.unique(frame.astype(np.uint8).reshape(-1, 4), axis=0))


if __name__ == "__main__":
    main()
