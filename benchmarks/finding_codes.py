"""How well and how fast codes are found: `python -m benchmarks.finding_codes [--effort BALANCED]`.

Prints the share of planted codes that are covered, by symbology, width of a module and angle; the area that is hidden
beside them; and the time against Pillow's Gaussian blur.
"""

import argparse
import time
from collections import defaultdict

from benchmarks.covering import COVERED, Clock, Tally, hidden, outside
from benchmarks.planted_codes import MODULES, pictures
from benchmarks.rounds import one_core
from services.blur_worker.engine.finding import codes
from services.common.domain.spec import Effort, Find, FindingKind


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--effort", type=Effort, default=Effort.BALANCED)
    arguments.add_argument("--modules", type=float, nargs="+", default=MODULES)
    chosen = arguments.parse_args()
    effort = chosen.effort
    one_core()
    detector = codes.load()
    clock, tallies, beside, named = Clock(), defaultdict[str, Tally](Tally), [], 0
    for picture in pictures(modules=tuple(chosen.modules)):
        clock.blur(picture.pixels)
        begin = time.process_time()
        found = detector.detect(picture.pixels, Find(kind=FindingKind.CODE), effort)
        clock.finding += time.process_time() - begin
        mask = hidden(picture.pixels.shape, found, detector.padding)
        covered = bool(mask[picture.dark].mean() >= COVERED)
        for name in (picture.label, "all"):
            tallies[name].add(covered, module=picture.module, angle=picture.angle, background=picture.background)
        named += picture.label in {one.label for one in found}
        beside.append(outside(mask, [picture.box]))
    print(f"{effort}: {len(beside)} codes, {named} with the right label")
    for name, tally in tallies.items():
        print(f" {name}\n{tally}")
    print(f"  hidden beside the codes: {100 * sum(beside) / len(beside):.1f} % of the area")
    print(clock)


if __name__ == "__main__":
    main()
