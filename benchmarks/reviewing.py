"""`python -m benchmarks.reviewing [FOLDER]`: a person's way from dropping photographs of people to a reviewed archive.

A real browser (Debian's chromium) drops 20 photographs on the page of a private stack, has faces found, looks at every
picture, leaves what is no face or is to stay, adds faces that were missed, applies that, and downloads the archive;
after the form by keyboard alone. What the person knows is which faces are on the pictures, and which may stay. Prints
the actions and the seconds of each step: those of the person, who looks at each picture for a while, and those of
waiting.

Then another detector (the LBP cascade of scikit-image, which the service does not use) looks for the faces in the
results; for comparison, in the originals.

FOLDER: photographs with a `boxes.json` ({file: {faces: [[left, top, right, bottom], …]}}) instead of those made here.
"""

import argparse
import io
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import skimage.data
from imageblur_client import Client
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from skimage.feature import Cascade

from benchmarks.face_pictures import annotated
from benchmarks.people_pictures import Box, Photograph, photographs
from services.stack.background import private_stack
from tests.support.browser import chromium
from tests.support.waiting import eventually

Pixels = NDArray[np.uint8]
PATIENCE_MS = 300_000
REPEAT_MS = 33
"""Between the repetitions of a key that is held."""
STEP = 0.01
"""By which an arrow key moves a region."""
BOXES = "() => JSON.parse(document.getElementById('page-data').textContent).images"
LEAST_CHANGE = 6.0
"""Mean difference of a hidden face from its original, in levels."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step took: actions, seconds of the person, seconds of waiting."""

    name: str
    actions: int
    person: float
    waited: float


@dataclass
class Stopwatch:
    """Counts a person's actions, and measures the time of acting and of waiting."""

    look_seconds: float
    steps: list[Step] = field(default_factory=list)
    actions: int = 0
    waited: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step."""
        begin, self.actions, self.waited = time.monotonic(), 0, 0.0
        yield
        person = time.monotonic() - begin - self.waited
        self.steps.append(Step(name=name, actions=self.actions, person=person, waited=self.waited))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure what the machine takes."""
        begin = time.monotonic()
        yield
        self.waited += time.monotonic() - begin

    def look(self) -> None:
        """Look at a picture."""
        time.sleep(self.look_seconds)

    def table(self) -> str:
        """Return all steps, and their sums."""
        every = Step(
            name="all",
            actions=sum(step.actions for step in self.steps),
            person=sum(step.person for step in self.steps),
            waited=sum(step.waited for step in self.steps),
        )
        lines = [
            f"{step.name:<24} {step.actions:>8} {step.person:>9.1f} {step.waited:>9.1f}"
            for step in [*self.steps, every]
        ]
        return "\n".join([f"{'step':<24} {'actions':>8} {'person s':>9} {'waiting s':>9}", *lines])


def main() -> None:
    """Go the way, look at the results, print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--look", type=float, default=1.0, help="seconds that a person looks at a picture")
    options = parser.parse_args()
    pictures = list(islice(_annotated(options.folder), 20) if options.folder else photographs(options.seed))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / picture.name for picture in pictures]
        for picture, file in zip(pictures, files, strict=True):
            picture.image.save(file, quality=92)
        stopwatch, left, added, archive = _go(pictures, files, options.look)
        print(stopwatch.table())
        print(f"{len(pictures)} pictures: {left} boxes left, {added} faces added")
        faults = _check(pictures, files, archive)
    sys.exit(bool(faults))


def _annotated(folder: Path) -> Iterator[Photograph]:
    for picture in annotated(folder):
        name = f"{Path(picture.name).stem}.jpg"
        yield Photograph(name=name, image=picture.image, hide=picture.faces, leave=())


def _go(pictures: list[Photograph], files: list[Path], look: float) -> tuple[Stopwatch, int, int, bytes]:
    stopwatch, left, added = Stopwatch(look), 0, 0
    known = {picture.name: picture for picture in pictures}
    with private_stack() as stack, Client(stack.gateway_address) as client, chromium() as browser:
        eventually(lambda: client.limits().find_models, within=120)
        page = browser.new_page(base_url=stack.web, viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto("/")
        with stopwatch.step("drop, choose, send"):
            page.set_input_files("#files", files)
            page.get_by_label("Faces").check()
            page.click("#submit")
            stopwatch.actions += 3
            with stopwatch.waiting():
                page.wait_for_url("**/orders/*")
                expect(page.locator(".summary.succeeded")).to_be_visible()
            page.click("#review-link")
            stopwatch.actions += 1
            with stopwatch.waiting():
                expect(page.locator("#viewer")).to_be_focused()
        images = {image["name"]: image for image in page.evaluate(BOXES)}
        with stopwatch.step("look at every picture"):
            for number in range(len(files)):
                with stopwatch.waiting():
                    expect(page.locator("#viewer-position")).to_contain_text(f"{number + 1} of {len(files)}")
                    expect(page.locator("#viewer-stage.loading")).to_have_count(0)
                name = page.locator("#viewer-name").inner_text()
                stopwatch.look()
                changes = _correct(page, stopwatch, known[name], images[name]["boxes"])
                left, added = left + changes[0], added + changes[1]
                page.keyboard.press("n")
                stopwatch.actions += 1
        with stopwatch.step("apply"):
            page.keyboard.press("Enter")
            stopwatch.actions += 1
            with stopwatch.waiting():
                expect(page.locator("#review-apply")).to_have_text("Nothing changed")
        with stopwatch.step("download"):
            with page.expect_download() as download, stopwatch.waiting():
                page.click("#review-download")
            stopwatch.actions += 1
            archive = download.value.path().read_bytes()
        return stopwatch, left, added, archive


def _correct(page: Page, stopwatch: Stopwatch, known: Photograph, boxes: list[dict[str, object]]) -> tuple[int, int]:
    """Leave what is not to be hidden, add what was missed; return how many of each."""
    width, height = known.image.size
    seen = [_pixels(box["rect"], width, height) for box in boxes]  # type: ignore[arg-type]
    wrong = [index for index, box in enumerate(seen) if not any(_meet(box, face) for face in known.hide)]
    for index in wrong:
        if index < 9:
            page.keyboard.press(str(index + 1))
        else:
            page.locator("#viewer-items input").nth(index).press("Space")
        stopwatch.actions += 1
    missed = [face for face in known.hide if not any(_meet(box, face) for box in seen)]
    for face in missed:
        _add(page, stopwatch, (face[0] / width, face[1] / height, face[2] / width, face[3] / height))
    return len(wrong), len(missed)


def _add(page: Page, stopwatch: Stopwatch, face: Box) -> None:
    """Add a region by keyboard: it appears in the middle, 0.3 wide and high, and moves and shrinks in steps."""
    margin = 0.25
    left, top = face[0] - margin * (face[2] - face[0]), face[1] - margin * (face[3] - face[1])
    wide, high = (1 + 2 * margin) * (face[2] - face[0]), (1 + 2 * margin) * (face[3] - face[1])
    page.keyboard.press("a")
    stopwatch.actions += 1
    for now, wanted, keys in (
        (0.3, wide, ("Shift+ArrowLeft", "Shift+ArrowRight")),
        (0.3, high, ("Shift+ArrowUp", "Shift+ArrowDown")),
        (0.35, left, ("ArrowLeft", "ArrowRight")),
        (0.35, top, ("ArrowUp", "ArrowDown")),
    ):
        steps = round((wanted - now) / STEP)
        key = keys[1] if steps > 0 else keys[0]
        for _ in range(abs(steps)):
            page.keyboard.press(key)
            time.sleep(REPEAT_MS / 1000)
        stopwatch.actions += bool(steps)  # a key that is held


def _pixels(rect: tuple[float, float, float, float], width: int, height: int) -> Box:
    left, top, wide, high = rect
    return left * width, top * height, (left + wide) * width, (top + high) * height


def _meet(box: Box, face: Box) -> bool:
    """Return whether the middle of one lies in the other."""
    return _middle_in(box, face) or _middle_in(face, box)


def _middle_in(one: Box, other: Box) -> bool:
    x, y = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
    return other[0] <= x <= other[2] and other[1] <= y <= other[3]


def _check(pictures: list[Photograph], files: list[Path], archive: bytes) -> list[str]:
    """Look for faces in the results with another detector; print and return what is wrong."""
    cascade = Cascade(skimage.data.lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]
    found: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    with zipfile.ZipFile(io.BytesIO(archive)) as results:
        for picture, file in zip(pictures, files, strict=True):
            with Image.open(file) as image:
                before = np.asarray(image.convert("RGB"))
            with Image.open(io.BytesIO(results.read(f"blur_{picture.name}"))) as image:
                after = np.asarray(image.convert("RGB"))
            seen = [_faces(cascade, pixels) for pixels in (before, after)]
            for kind, faces in (("hide", picture.hide), ("leave", picture.leave)):
                for face in faces:
                    was, still = (any(_meet(box, face) for box in boxes) for boxes in seen)
                    found.update([(kind, "all")] + [(kind, "before")] * was + [(kind, "after")] * still)
                    change = _difference(before, after, face)
                    if kind == "hide" and (still or change < LEAST_CHANGE):
                        faults.append(f"{picture.name}: a face is not hidden: seen {still}, changed by {change:.1f}")
                    if kind == "leave" and change:
                        faults.append(f"{picture.name}: a face that was to stay changed by {change:.1f}")
    for kind, name in (("hide", "faces to hide"), ("leave", "faces to stay")):
        total, before_, after_ = (found[kind, when] for when in ("all", "before", "after"))
        print(f"{name}: {total}; another detector sees {before_} in the originals, {after_} in the results")
    print("\n".join(faults) or "every result is as it should be")
    return faults


def _faces(cascade: Cascade, pixels: Pixels) -> list[Box]:
    least, most = (max(24, min(pixels.shape[:2]) // part) for part in (24, 2))
    found = cascade.detect_multi_scale(
        pixels, scale_factor=1.2, step_ratio=1.3, min_size=(least, least), max_size=(most, most)
    )
    return [(each["c"], each["r"], each["c"] + each["width"], each["r"] + each["height"]) for each in found]


def _difference(before: Pixels, after: Pixels, face: Box) -> float:
    """Return the mean difference of the inner half of a face."""
    left, top, right, bottom = face
    part = (
        slice(int(top + 0.25 * (bottom - top)), max(int(top + 0.75 * (bottom - top)), int(top) + 1)),
        slice(int(left + 0.25 * (right - left)), max(int(left + 0.75 * (right - left)), int(left) + 1)),
    )
    return float(np.abs(before[part].astype(int) - after[part].astype(int)).mean())


if __name__ == "__main__":
    main()
