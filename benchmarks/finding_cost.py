"""Processor time and memory of finding, beside Pillow's blur of the same picture."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.face_pictures import Picture
from services.blur_worker.engine.finding.detector import Detector
from services.common.domain.spec import Effort, Find, FindingKind

MIB = 1 << 20
FACES = Find(kind=FindingKind.FACE)


def times(detector: Detector, effort: Effort, pictures: Iterable[Picture], rounds: int = 3) -> tuple[float, float]:
    """Return the processor milliseconds per megapixel of finding and of Pillow's GaussianBlur(5), in alternation."""
    finding = blurring = megapixels = 0.0
    for picture in pictures:
        pixels = np.asarray(picture.image)
        find = partial(detector.detect, pixels, FACES, effort)
        blur = partial(picture.image.filter, ImageFilter.GaussianBlur(5))
        pairs = [(_seconds(find), _seconds(blur)) for _ in range(rounds)]
        finding += min(pair[0] for pair in pairs)
        blurring += min(pair[1] for pair in pairs)
        megapixels += picture.megapixels
    return 1000 * finding / megapixels, 1000 * blurring / megapixels


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def memory(file: Path, effort: Effort) -> float:
    """Return the MiB by which the peak of a process that finds faces and blurs exceeds that of one that only blurs."""
    return (_peak_of_child(file, str(effort)) - _peak_of_child(file, "")) / MIB


def _peak_of_child(file: Path, effort: str) -> int:
    command = [sys.executable, "-m", "benchmarks.finding_cost", str(file), effort]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak() -> int:
    """Return the peak of this process's resident memory, in bytes; only on Linux. getrusage counts the parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main() -> None:
    """Find, if asked to, and blur a file in this process; print its peak of memory in bytes."""
    from services.blur_worker.engine import Limits, blur  # noqa: PLC0415 - loaded by the measured process alone
    from services.common.domain.spec import BlurSpec, Gaussian  # noqa: PLC0415

    file, effort = sys.argv[1:]
    for _ in range(2):
        if effort:
            from services.blur_worker.engine.finding import faces  # noqa: PLC0415 - only the one that finds loads it

            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB"))
            faces.load().detect(pixels, FACES, Effort(effort))
            del pixels
        blur(Path(file).read_bytes(), BlurSpec(Gaussian(5)), Limits(max_pixels=200_000_000))
    print(_peak())


if __name__ == "__main__":
    main()
