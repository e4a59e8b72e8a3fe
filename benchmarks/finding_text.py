"""How well and how fast text is found: `python -m benchmarks.finding_text [--effort BALANCED] [--sizes 14 20]`.

Prints the share of planted texts that are covered, by size of the font, angle, background, class and font; the area
that is hidden beside them; and the time against Pillow's Gaussian blur.
"""

import argparse
import time

from benchmarks.covering import COVERED, Clock, Tally, hidden, outside
from benchmarks.planted_text import SIZES, PlantedPicture, pictures
from benchmarks.rounds import one_core
from services.blur_worker.engine.finding import text
from services.blur_worker.engine.finding.detector import Detector
from services.common.domain.spec import Effort, Find, FindingKind, TextClass

_CLASSES = tuple(text_class for text_class in TextClass if text_class is not TextClass.ALL)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--effort", type=Effort, default=Effort.BALANCED)
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments.add_argument("--least", type=int, default=14, help="smallest size in the shares that are not by size")
    chosen = arguments.parse_args()
    one_core()
    detector = text.load()
    planted = [*pictures(sizes=tuple(chosen.sizes))]
    detector.detect(planted[0].pixels, Find(kind=FindingKind.TEXT, text_classes=_CLASSES), chosen.effort)  # loads all
    for classes in ((), _CLASSES):
        print(f"{chosen.effort}, {'classes' if classes else 'all text'}:")
        _measure(detector, planted, classes, chosen.effort, chosen.least)


def _measure(
    detector: Detector, planted: list[PlantedPicture], classes: tuple[TextClass, ...], effort: Effort, least: int
) -> None:
    clock, tally, beside, wrong = Clock(), Tally(), [], 0
    for picture in planted:
        clock.blur(picture.pixels)
        begin = time.process_time()
        found = detector.detect(picture.pixels, Find(kind=FindingKind.TEXT, text_classes=classes), effort)
        clock.finding += time.process_time() - begin
        everything = hidden(picture.pixels.shape, found, detector.padding)
        wanted = [one for one in picture.texts if one.kind or not classes]
        for one in wanted:
            own = [each for each in found if each.label == one.kind] if classes else found
            covered = bool(hidden(picture.pixels.shape, own, detector.padding)[one.ink].mean() >= COVERED)
            tally.add(covered, size=picture.size)
            if picture.size >= least:
                kind = {"class": one.kind or "none"}
                tally.add(
                    covered, all="", angle=picture.angle, background=picture.background, **kind, font=one.font
                )  # fmt: skip
        wrong += sum(everything[one.ink].mean() > 0.5 for one in picture.texts if one not in wanted)
        beside.append(outside(everything, [one.box for one in wanted]))
    print(tally)
    print(f"  hidden beside the texts: {100 * sum(beside) / len(beside):.1f} % of the area")
    if classes:
        print(f"  texts of no class that were hidden: {wrong}")
    print(clock, flush=True)


if __name__ == "__main__":
    main()
