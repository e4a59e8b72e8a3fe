"""Read it: render every candidate, hide it the same way, take the nearest ("dictionary attack")."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.attacks.hiding import Picture, hidden_part, place
from benchmarks.attacks.score import Score
from services.common.domain.spec import Effect

_CANDIDATES, _TRIALS = 400, 1000
_LETTERS, _DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"
HEIGHT = 32
"""Of a line of text in pixels."""


def plates(seed: int) -> list[Picture]:
    """Return number plates, AB 123 CD, dark on white: one for each candidate."""
    rng = np.random.default_rng(seed)
    texts = {_plate(rng) for _ in range(2 * _CANDIDATES)}
    return [_render(text, background=235, ink=20) for text in sorted(texts)[:_CANDIDATES]]


def numbers(seed: int) -> list[Picture]:
    """Return numbers of six digits, black on grey paper."""
    rng = np.random.default_rng(seed)
    texts = {"".join(rng.choice(list(_DIGITS), 6)) for _ in range(2 * _CANDIDATES)}
    return [_render(text, background=200, ink=0) for text in sorted(texts)[:_CANDIDATES]]


def attack(candidates: list[Picture], effect: Effect | None, seed: int) -> Score:
    """Hide texts, with the noise of a camera, and look for each among all candidates, hidden likewise without noise."""
    rng = np.random.default_rng(seed)
    known = np.array([hidden_part(place(each, "box"), effect, "box").ravel() for each in candidates])
    squares = (known**2).sum(axis=1)
    right = 0
    for _ in range(_TRIALS):
        truth = int(rng.integers(len(candidates)))
        seen = hidden_part(place(candidates[truth], "box", rng), effect, "box").ravel()
        right += _nearest(squares - 2 * known @ seen, rng) == truth
    return Score(right, _TRIALS, len(candidates))


def _nearest(distances: NDArray[np.float64], rng: np.random.Generator) -> int:
    # Of several that are equally near, any.
    near = np.flatnonzero(distances <= distances.min() + 1e-6 * max(abs(float(distances.min())), 1.0))
    return int(rng.choice(near))


def _plate(rng: np.random.Generator) -> str:
    first, last = ("".join(rng.choice(list(_LETTERS), 2)) for _ in range(2))
    return f"{first} {rng.integers(100, 1000)} {last}"


def _render(text: str, *, background: int, ink: int) -> Picture:
    font = ImageFont.load_default(size=24)
    image = Image.new("L", (round(HEIGHT * 4.7), HEIGHT), background)
    ImageDraw.Draw(image).text((image.width / 2, HEIGHT / 2), text, fill=ink, font=font, anchor="mm")
    return np.asarray(image)[:, :, np.newaxis]
