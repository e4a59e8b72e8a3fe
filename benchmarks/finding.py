"""`python -m benchmarks.finding FOLDER`: how well faces are found, how fast, and with how much memory.

The folder holds pictures and `boxes.json`; its format is in `benchmarks.face_pictures`. A face is found when a box
overlaps it with an intersection over union of 0.4; a box is false when it meets neither a face nor an ignored place.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import face_pictures, finding_cost
from benchmarks.face_pictures import Picture
from benchmarks.face_recall import RecallScore
from benchmarks.rounds import one_core
from services.blur_worker.engine.finding import faces
from services.blur_worker.engine.finding.detector import Detector
from services.common.domain.spec import Effort

_USUAL = 2.0
"""Recall by height is that in pictures of up to so many megapixels; larger ones are counted too, apart."""


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    one_core()
    detector = faces.load()
    pictures = face_pictures.annotated(arguments.folder)
    results = {}
    for effort in arguments.effort:
        results[str(effort)] = result = _recall(detector, effort, pictures, arguments)
        result["cost"] = _cost(detector, effort, pictures, arguments)
        if not arguments.json:
            _print(str(effort), result)
    if arguments.json:
        print(json.dumps(results, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", type=lambda text: [Effort(name) for name in text.split(",")], default=list(Effort))
    parser.add_argument("--turned", type=_numbers, default=[], help="angles in degrees; each to the left and the right")
    parser.add_argument("--collage", type=_numbers, default=[], help="sizes in megapixels")
    parser.add_argument("--collages", type=int, default=2, help="how many of each size")
    parser.add_argument("--face-free", type=Path, help="a folder of pictures without faces, for false boxes")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _recall(
    detector: Detector, effort: Effort, pictures: list[Picture], arguments: argparse.Namespace
) -> dict[str, Any]:
    usual = [picture for picture in pictures if picture.megapixels <= _USUAL]
    result = {
        "upright": _score(detector, effort, usual),
        "larger": _score(detector, effort, [picture for picture in pictures if picture.megapixels > _USUAL]),
    }
    for angle in arguments.turned:
        both = (face_pictures.turned(picture, sign * angle) for picture in usual for sign in (1, -1))
        result[f"turned {angle:g}"] = _score(detector, effort, both)
    for size in arguments.collage:
        sheets = (face_pictures.collage(pictures, size, seed) for seed in range(1, arguments.collages + 1))
        result[f"collage {size:g} MP"] = _score(detector, effort, sheets)
    if arguments.face_free:
        result["face-free"] = _score(detector, effort, face_pictures.without_faces(arguments.face_free))
    return result


def _score(detector: Detector, effort: Effort, pictures: Iterable[Picture]) -> dict[str, float | None]:
    score = RecallScore()
    for picture in pictures:
        score.add(picture, detector.detect(np.asarray(picture.image), finding_cost.FACES, effort))
    return score.values()


def _cost(detector: Detector, effort: Effort, pictures: list[Picture], arguments: argparse.Namespace) -> dict[str, Any]:
    of = {
        "with faces": pictures,
        "2 MP": [_of_2_megapixels(picture) for picture in pictures if picture.megapixels >= 1],
    }
    if arguments.face_free:
        of["face-free"] = face_pictures.without_faces(arguments.face_free)
    result: dict[str, Any] = {}
    for name, some in of.items():
        finding, blurring = finding_cost.times(detector, effort, some)
        result[name] = {"ms_per_megapixel": finding, "pillow": blurring, "ratio": finding / blurring}
    if not arguments.no_memory:
        result["memory_mib"] = {
            f"{size:g} MP": _memory(max(pictures, key=lambda picture: picture.megapixels), size, effort)
            for size in (2.0, 12.0)
        }
    return result


def _of_2_megapixels(picture: Picture) -> Picture:
    scale = (2 / picture.megapixels) ** 0.5
    size = (round(picture.image.width * scale), round(picture.image.height * scale))
    return Picture(name=picture.name, image=picture.image.resize(size))


def _memory(picture: Picture, megapixels: float, effort: Effort) -> float:
    scale = (megapixels / picture.megapixels) ** 0.5
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        picture.image.resize((round(picture.image.width * scale), round(picture.image.height * scale))).save(file)
        return finding_cost.memory(file, effort)


def _print(effort: str, result: dict[str, Any]) -> None:
    print(effort)
    for name, values in result.items():
        if name != "cost":
            shown = (f"{key} {'-' if value is None else f'{value:.3f}'}" for key, value in values.items())
            print(f"  {name}: {', '.join(shown)}")
    for name, values in result["cost"].items():
        print(f"  cost, {name}: {', '.join(f'{key} {value:.2f}' for key, value in values.items())}")


if __name__ == "__main__":
    main()
