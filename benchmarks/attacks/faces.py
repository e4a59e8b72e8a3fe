"""Whose face is it? A matcher that is trained on nothing but a gallery, hidden by the same effect ("parrot attack")."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.attacks.hiding import Picture, hidden_part, place
from benchmarks.attacks.score import Score
from services.common.domain.spec import Effect

SIDE = 96
"""Of a face in pixels."""
_TRAINING, _TRIALS = 24, 10
"""Variations of each face: other poses, light and noise."""
_FEATURES, _COMPONENTS = 24, 60
Features = NDArray[np.float64]


def gallery() -> list[Picture]:
    """Return the 100 faces of scikit-image's selection from Labeled Faces in the Wild: grey, 25 × 25 pixels."""
    from skimage.data import lfw_subset  # noqa: PLC0415 - takes a second

    return [np.rint(face * 255).astype(np.uint8)[:, :, np.newaxis] for face in lfw_subset()[:100]]  # type: ignore[no-untyped-call]


def from_folder(folder: Path, least_px: int = 40) -> list[Picture]:
    """Return the faces that the service's detector finds in a folder's photographs, in colour, 48 × 48 pixels."""
    from services.blur_worker.engine import Limits, find_regions  # noqa: PLC0415
    from services.blur_worker.engine.finding.registry import Detectors  # noqa: PLC0415
    from services.common.domain.spec import BlurSpec, Find, FindingKind  # noqa: PLC0415

    finds, detectors, faces = (Find(kind=FindingKind.FACE),), Detectors(), []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
            continue
        found = find_regions(path.read_bytes(), BlurSpec(find=finds), Limits(100_000_000), detectors)
        with Image.open(path) as image:
            picture = image.convert("RGB")
        for finding in found.findings:
            region = finding.region
            if finding.box.height * found.height >= least_px and picture.size == (found.width, found.height):
                left, top = region.left * found.width, region.top * found.height
                box = (left, top, left + region.width * found.width, top + region.height * found.height)
                faces.append(np.asarray(picture.resize((48, 48), Image.Resampling.LANCZOS, box)))
    return faces


def attack(faces: Sequence[Picture], effect: Effect | None, seed: int) -> Score:
    """Train on variations of the gallery's faces, hidden by an effect; recognise other variations, hidden likewise."""
    rng = np.random.default_rng(seed)
    training = [_hidden(_vary(face, rng), effect, rng) for face in faces for _ in range(_TRAINING)]
    trials = [_hidden(_vary(face, rng), effect, rng) for face in faces for _ in range(_TRIALS)]
    guesses = _classify(np.array(training), np.array(trials), len(faces), rng)
    right = int((guesses == np.arange(len(faces)).repeat(_TRIALS)).sum())
    return Score(right, len(trials), len(faces))


def _hidden(face: Picture, effect: Effect | None, rng: np.random.Generator) -> Features:
    part = hidden_part(place(face, "ellipse", rng), effect, "ellipse")
    size = SIDE // _FEATURES
    features: Features = part.reshape(_FEATURES, size, _FEATURES, size, -1).mean(axis=(1, 3)).ravel()
    return features


def _vary(face: Picture, rng: np.random.Generator) -> Picture:
    """Return a face as another photograph may show it: turned, moved, enlarged, in another light."""
    side, angle = len(face), rng.normal(0, np.radians(4))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / np.exp(rng.normal(0, 0.05))
    positions = (np.mgrid[:SIDE, :SIDE].transpose(1, 2, 0) + 0.5) * side / SIDE - side / 2
    at = positions @ turn.T + (side - 1) / 2 + rng.normal(0, 0.03 * side, 2)
    channels = [
        ndimage.map_coordinates(
            face[..., channel].astype(np.float64), [at[..., 0], at[..., 1]], order=1, mode="nearest"
        )
        for channel in range(face.shape[2])
    ]
    values = np.stack(channels, axis=-1) / 255
    values = values ** np.exp(rng.normal(0, 0.2))
    slope = rng.normal(0, 0.25, 2) / side
    light = 1 + positions @ slope
    color = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.05, face.shape[2]) * (face.shape[2] > 1))
    values = values * light[..., np.newaxis] * color + rng.normal(0, 0.03)
    result: Picture = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return result


def _classify(training: Features, trials: Features, people: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return whose face each trial is: linear discriminant analysis after principal components."""
    mean = training.mean(axis=0)
    _, sizes, axes = np.linalg.svd(training - mean, full_matrices=False)
    count = min(_COMPONENTS, int((sizes > 1e-6 * max(sizes[0], 1)).sum()))
    if count == 0:
        return rng.integers(0, people, len(trials))  # nothing differs
    seen, asked = (training - mean) @ axes[:count].T, (trials - mean) @ axes[:count].T
    means = seen.reshape(people, -1, count).mean(axis=1)
    within = np.atleast_2d(np.cov((seen - means.repeat(_TRAINING, axis=0)).T))
    within += np.eye(count) * 1e-3 * sizes[0] ** 2 / len(training)
    whiten = np.linalg.cholesky(np.linalg.inv(within))
    distances = (((asked @ whiten)[:, np.newaxis] - (means @ whiten)[np.newaxis]) ** 2).sum(axis=2)
    guesses: NDArray[np.int64] = distances.argmin(axis=1)
    return guesses
